//! Extended White and Holst (1964): Rosenbrock's valley with a cube.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ 100(x₂ᵢ − x₂ᵢ₋₁³)² + (1 − x₂ᵢ₋₁)², minimum 0 at (1, …, 1).
pub(crate) const WHITE_HOLST: TestFunction = TestFunction::new(
    "white-holst",
    "Extended White–Holst function",
    "B. F. Witte & W. R. Holst, Two New Direct Minimum Search Procedures for Functions of Several \
    Variables, Spring Joint Computer Conference, 1964; extended by N. Andrei, Adv. Model. Optim. \
    10, 2008",
    Dimensions::multiples(2, LARGEST),
    |d| Function::new([-1.2, 1.0].repeat(d / 2), evaluate).with_minimum_at(0.0, vec![1.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (g, x) in gradient.chunks_exact_mut(2).zip(x.chunks_exact(2)) {
        let valley = x[1] - x[0] * x[0] * x[0];
        let slope = 1.0 - x[0];
        value += 100.0 * valley * valley + slope * slope;
        g[0] = -600.0 * valley * x[0] * x[0] - 2.0 * slope;
        g[1] = 200.0 * valley;
    }
    value
}
