//! Penalty I: a faint pull towards (1, …, 1) against a sphere of radius ½.

use crate::lanes::{map, sum};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// a of the formula.
const A: f64 = 1e-5;

/// f(x) = a Σ (xᵢ − 1)² + (Σ xᵢ² − ¼)², a = 10⁻⁵. The minima are published for d = 4 and 10.
pub(crate) const PENALTY_1: TestFunction = TestFunction::new(
    "penalty-1",
    "Penalty function I",
    "P. E. Gill, W. Murray & R. A. Pitfield, The Implementation of Two Revised Quasi-Newton \
    Algorithms for Unconstrained Optimization, NPL NAC 11, 1972; problem 23 of Moré, Garbow & \
    Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, LARGEST),
    |d| {
        let function = Function::new(numbers(d).collect(), evaluate);
        match d {
            4 => function.with_minimum(2.24997e-5),
            10 => function.with_minimum(7.08765e-5),
            _ => function,
        }
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let distances = sum([x], |[x]| (x - 1.0) * (x - 1.0));
    let residual = sum([x], |[x]| x * x) - 0.25;
    map([x], gradient, |[x]| {
        2.0 * A * (x - 1.0) + 4.0 * residual * x
    });
    A * distances + residual * residual
}
