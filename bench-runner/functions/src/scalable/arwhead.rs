//! ARWHEAD: every variable meets the last one.

use crate::lanes::sweep;
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ₌₁^(d−1) (xᵢ² + x_d²)² − 4xᵢ + 3, minimum 0 at (1, …, 1, 0).
pub(crate) const ARWHEAD: TestFunction = TestFunction::new(
    "arwhead",
    "Arrow head function (ARWHEAD)",
    "A. R. Conn, N. I. M. Gould, M. Lescrenier & P. L. Toint, Performance of a Multifrontal \
    Scheme for Partially Separable Optimization, FUNDP Namur 88/4, 1988, problem 55; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| {
        let mut minimizer = vec![1.0; d];
        minimizer[d - 1] = 0.0;
        Function::new(vec![1.0; d], evaluate).with_minimum_at(0.0, minimizer)
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let last = x.len() - 1;
    let tip = x[last] * x[last];
    let value = sweep([x], &mut gradient[..last], |[x]| {
        let sum = x * x + tip;
        (sum * sum - 4.0 * x + 3.0, 4.0 * x * sum - 4.0)
    });
    let squares = crate::lanes::sum([&x[..last]], |[x]| x * x);
    gradient[last] = 4.0 * x[last] * (squares + last as f64 * tip);
    value
}
