//! EDENSCH: the extended function of Dennis and Schnabel.

use crate::lanes::sweep;
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = 16 + Σᵢ₌₁^(d−1) (xᵢ − 2)⁴ + (xᵢ xᵢ₊₁ − 2xᵢ₊₁)² + (xᵢ₊₁ + 1)². The minimum has no closed
/// form.
pub(crate) const EDENSCH: TestFunction = TestFunction::new(
    "edensch",
    "Extended Dennis–Schnabel function (EDENSCH)",
    "G. Li, The Secant/Finite Difference Algorithm for Solving Sparse Nonlinear Systems of \
    Equations, SIAM J. Numer. Anal. 25, 1988; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![8.0; d], evaluate),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let last = x.len() - 1;
    // The terms of i, and their derivative by xᵢ.
    let value = sweep([x, &x[1..]], &mut gradient[..last], |[x, after]| {
        let u = x - 2.0;
        let product = u * after;
        (
            u * u * u * u + product * product + (after + 1.0) * (after + 1.0),
            4.0 * u * u * u + 2.0 * product * after,
        )
    });
    // The derivative of the terms of i − 1 by xᵢ.
    gradient[last] = 0.0;
    for (g, pair) in gradient[1..].iter_mut().zip(x.windows(2)) {
        let u = pair[0] - 2.0;
        *g += 2.0 * u * u * pair[1] + 2.0 * (pair[1] + 1.0);
    }
    16.0 + value
}
