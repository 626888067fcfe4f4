//! Extended Freudenstein and Roth (1963): cubic valleys and a poor local minimum.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ₌₁^(d−1) (xᵢ − 13 + ((5 − xᵢ₊₁)xᵢ₊₁ − 2)xᵢ₊₁)²
/// plus (xᵢ − 29 + ((xᵢ₊₁ + 1)xᵢ₊₁ − 14)xᵢ₊₁)². For d = 2 minimum 0 at (5, 4), and a local one of 48.9842.
pub(crate) const FREUDENSTEIN_ROTH: TestFunction = TestFunction::new(
    "freudenstein-roth",
    "Extended Freudenstein–Roth function (FREUROTH)",
    "F. Freudenstein & B. Roth, Numerical Solution of Systems of Nonlinear Equations, J. ACM 10, \
    1963; problem 2 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981; extended by P. L. Toint, FUNDP \
    Namur 83/4, 1983, problem 33; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| {
        let mut start = vec![0.0; d];
        (start[0], start[1]) = (0.5, -2.0);
        let function = Function::new(start, evaluate);
        match d {
            2 => function
                .with_minimum_at(0.0, vec![5.0, 4.0])
                .with_minimum(48.984_253_679_240_05),
            _ => function,
        }
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    // `before` is the derivative of the term before by the variable.
    let (mut value, mut before) = (0.0, 0.0);
    for (g, pair) in gradient.iter_mut().zip(x.windows(2)) {
        let (a, b) = (pair[0], pair[1]);
        let r = a - 13.0 + ((5.0 - b) * b - 2.0) * b;
        let s = a - 29.0 + ((b + 1.0) * b - 14.0) * b;
        value += r * r + s * s;
        *g = before + 2.0 * (r + s);
        before = 2.0 * (r * ((10.0 - 3.0 * b) * b - 2.0) + s * ((3.0 * b + 2.0) * b - 14.0));
    }
    gradient[x.len() - 1] = before;
    value
}
