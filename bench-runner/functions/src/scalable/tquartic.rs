//! TQUARTIC: a quartic that every variable shares with the first.

use crate::lanes::{sum, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = (x₁ − 1)² + Σᵢ₌₂ (x₁² − xᵢ²)², minimum 0 at (1, …, 1).
pub(crate) const TQUARTIC: TestFunction = TestFunction::new(
    "tquartic",
    "Quartic function of Toint (TQUARTIC)",
    "P. L. Toint, private communication, in N. I. M. Gould, D. Orban & P. L. Toint, CUTEst, \
    Comput. Optim. Appl. 60, 2015",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![0.1; d], evaluate).with_minimum_at(0.0, vec![1.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let first = x[0];
    let square = first * first;
    let value = sweep([&x[1..]], &mut gradient[1..], |[x]| {
        let residual = square - x * x;
        (residual * residual, -4.0 * residual * x)
    });
    let residuals = sum([&x[1..]], |[x]| square - x * x);
    gradient[0] = 2.0 * (first - 1.0) + 4.0 * first * residuals;
    (first - 1.0) * (first - 1.0) + value
}
