//! Extended Rosenbrock: Rosenbrock's valley in each pair of variables.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ 100(x₂ᵢ − x₂ᵢ₋₁²)² + (1 − x₂ᵢ₋₁)², minimum 0 at (1, …, 1).
pub(crate) const EXTENDED_ROSENBROCK: TestFunction = TestFunction::new(
    "extended-rosenbrock",
    "Extended Rosenbrock function",
    "E. Spedicato, Computational Experience with Quasi-Newton Algorithms for Minimization \
    Problems of Moderately Large Size, CISE Milano N-175, 1975; problem 21 of Moré, Garbow & \
    Hillstrom, ACM TOMS 7, 1981",
    Dimensions::multiples(2, LARGEST),
    |d| Function::new([-1.2, 1.0].repeat(d / 2), evaluate).with_minimum_at(0.0, vec![1.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (g, x) in gradient.chunks_exact_mut(2).zip(x.chunks_exact(2)) {
        let valley = x[1] - x[0] * x[0];
        let slope = 1.0 - x[0];
        value += 100.0 * valley * valley + slope * slope;
        g[0] = -400.0 * valley * x[0] - 2.0 * slope;
        g[1] = 200.0 * valley;
    }
    value
}
