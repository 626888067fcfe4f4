//! SINQUAD: sines and quartics that tie every variable to the first and the last.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = (x₁ − 1)⁴ + Σᵢ₌₂^(d−1) (sin(xᵢ − x_d) − x₁² + xᵢ²)² + (x_d² − x₁²)², minimum 0 at (1, …,
/// 1).
pub(crate) const SINQUAD: TestFunction = TestFunction::new(
    "sinquad",
    "Sine and quartic function (SINQUAD2)",
    "N. I. M. Gould, private communication, in N. I. M. Gould, D. Orban & P. L. Toint, CUTEst, \
    Comput. Optim. Appl. 60, 2015",
    Dimensions::range(3, LARGEST),
    |d| Function::new(vec![0.1; d], evaluate).with_minimum_at(0.0, vec![1.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let last = x.len() - 1;
    let (first, tip) = (x[0], x[last]);
    let (mut value, mut by_first, mut by_tip) = (0.0, 0.0, 0.0);
    for (g, x) in gradient[1..last].iter_mut().zip(&x[1..last]) {
        let (sine, cosine) = (x - tip).sin_cos();
        let residual = sine - first * first + x * x;
        value += residual * residual;
        *g = 2.0 * residual * (cosine + 2.0 * x);
        by_first -= 4.0 * residual * first;
        by_tip -= 2.0 * residual * cosine;
    }
    let distance = first - 1.0;
    let residual = tip * tip - first * first;
    gradient[0] = by_first + 4.0 * distance * distance * distance - 4.0 * residual * first;
    gradient[last] = by_tip + 4.0 * residual * tip;
    value + distance.powi(4) + residual * residual
}
