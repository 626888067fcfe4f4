//! Wood: two coupled valleys of Rosenbrock's kind.

use crate::{Dimensions, Function, TestFunction};

/// f(x) = 100(x₂ − x₁²)² + (1 − x₁)² + 90(x₄ − x₃²)² + (1 − x₃)² + 10(x₂ + x₄ − 2)²
/// plus (x₂ − x₄)²/10, minimum 0 at (1, 1, 1, 1).
pub(crate) const WOOD: TestFunction = TestFunction::new(
    "wood",
    "Wood function",
    "A. R. Colville, A Comparative Study of Nonlinear Programming Codes, IBM New York 320-2949, \
    1968; problem 14 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::only(4),
    |_| Function::new(vec![-3.0, -1.0, -3.0, -1.0], evaluate).with_minimum_at(0.0, vec![1.0; 4]),
);

/// The sum over groups of four variables.
pub(crate) fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (g, x) in gradient.chunks_exact_mut(4).zip(x.chunks_exact(4)) {
        let (p, q) = (x[1] - x[0] * x[0], 1.0 - x[0]);
        let (r, s) = (x[3] - x[2] * x[2], 1.0 - x[2]);
        let (t, u) = (x[1] + x[3] - 2.0, x[1] - x[3]);
        value += 100.0 * p * p + q * q + 90.0 * r * r + s * s + 10.0 * t * t + 0.1 * u * u;
        g[0] = -400.0 * p * x[0] - 2.0 * q;
        g[1] = 200.0 * p + 20.0 * t + 0.2 * u;
        g[2] = -360.0 * r * x[2] - 2.0 * s;
        g[3] = 180.0 * r + 20.0 * t - 0.2 * u;
    }
    value
}
