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
    // `before` is the derivative of the term before by the variable.
    let (mut value, mut before) = (0.0, 0.0);
    for (g, pair) in gradient.iter_mut().zip(x.windows(2)) {
        let (sine, cosine) = (pair[0] * pair[0] - 0.5 * pair[1]).sin_cos();
        value += cosine;
        *g = before - 2.0 * pair[0] * sine;
        before = 0.5 * sine;
    }
    gradient[x.len() - 1] = before;
    value
}
