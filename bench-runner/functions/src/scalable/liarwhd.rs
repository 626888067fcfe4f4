//! LIARWHD: every variable meets the first one.

use crate::lanes::{sum, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ 4(xᵢ² − x₁)² + (xᵢ − 1)², minimum 0 at (1, …, 1).
pub(crate) const LIARWHD: TestFunction = TestFunction::new(
    "liarwhd",
    "Arrow head function of Li (LIARWHD)",
    "G. Li, The Secant/Finite Difference Algorithm for Solving Sparse Nonlinear Systems of \
    Equations, SIAM J. Numer. Anal. 25, 1988; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![4.0; d], evaluate).with_minimum_at(0.0, vec![1.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let tip = x[0];
    let value = sweep([x], gradient, |[x]| {
        let residual = x * x - tip;
        let distance = x - 1.0;
        (
            4.0 * residual * residual + distance * distance,
            16.0 * residual * x + 2.0 * distance,
        )
    });
    gradient[0] -= 8.0 * sum([x], |[x]| x * x - tip);
    value
}
