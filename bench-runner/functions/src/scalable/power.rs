//! POWER: the square of a quadratic, with condition number d and a Hessian that vanishes at the
//! minimum.

use crate::lanes::{map, sum};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = (Σ i xᵢ²)², minimum 0 at the origin.
pub(crate) const POWER: TestFunction = TestFunction::new(
    "power",
    "Power function (POWER)",
    "S. S. Oren, Self-Scaling Variable Metric Algorithms, Part II, Manage. Sci. 20, 1974; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| {
        let weights: Vec<f64> = numbers(d).collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let squares = sum([x, &weights], |[x, weight]| weight * x * x);
            map([x, &weights], gradient, |[x, weight]| {
                4.0 * squares * weight * x
            });
            squares * squares
        };
        Function::new(vec![1.0; d], evaluate).with_minimum_at(0.0, vec![0.0; d])
    },
);
