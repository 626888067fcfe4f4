//! Toint's Gaussian function: bells whose width is another variable.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ₌₁^(d−2) (10/(d − 2) + c²)(2 − exp(−(a − b)²/(0.1 + c²))) with (a, b, c) = (xᵢ, xᵢ₊₁,
/// xᵢ₊₂), minimum 10 at the origin.
pub(crate) const TOINT_GAUSSIAN: TestFunction = TestFunction::new(
    "toint-gaussian",
    "Toint's Gaussian function (TOINTGSS)",
    "P. L. Toint, Some Numerical Results Using a Sparse Matrix Updating Formula in Unconstrained \
     Optimization, Math. Comput. 32, 1978; CUTEst",
    Dimensions::range(3, LARGEST),
    |d| Function::new(vec![3.0; d], evaluate).with_minimum_at(10.0, vec![0.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    gradient.fill(0.0);
    let floor = 10.0 / (x.len() - 2) as f64;
    let mut value = 0.0;
    for i in 0..x.len() - 2 {
        let difference = x[i] - x[i + 1];
        let square = x[i + 2] * x[i + 2];
        let height = floor + square;
        let width = 0.1 + square;
        let bell = (-difference * difference / width).exp();
        value += height * (2.0 - bell);
        let by_difference = 2.0 * height * bell * difference / width;
        let by_square = 2.0 - bell - height * bell * difference * difference / (width * width);
        gradient[i] += by_difference;
        gradient[i + 1] -= by_difference;
        gradient[i + 2] += 2.0 * by_square * x[i + 2];
    }
    value
}
