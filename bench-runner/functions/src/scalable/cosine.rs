//! COSINE: cosines of a valley's equation.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ₌₁^(d−1) cos(xᵢ² − xᵢ₊₁/2), minimum −(d − 1), for one where all xᵢ² − xᵢ/2 = π.
pub(crate) const COSINE: TestFunction = TestFunction::new(
    "cosine",
    "Cosine function (COSINE)",
    "N. I. M. Gould, private communication, in N. I. M. Gould, D. Orban & P. L. Toint, CUTEst, \
    Comput. Optim. Appl. 60, 2015",
    Dimensions::range(2, LARGEST),
    |d| {
        let root = 0.25 + (0.0625 + std::f64::consts::PI).sqrt();
        Function::new(vec![1.0; d], evaluate).with_minimum_at(-((d - 1) as f64), vec![root; d])
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    gradient[0] = 0.0;
    let mut value = 0.0;
    for i in 0..x.len() - 1 {
        let (sine, cosine) = (x[i] * x[i] - 0.5 * x[i + 1]).sin_cos();
        value += cosine;
        gradient[i] -= 2.0 * x[i] * sine;
        gradient[i + 1] = 0.5 * sine;
    }
    value
}
