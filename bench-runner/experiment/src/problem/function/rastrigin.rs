//! Rastrigin (1974): a bowl covered with local minima.

use std::f64::consts::TAU;

use super::test_function::TestFunction;

/// f(x) = 10d + Σ(xᵢ² − 10 cos(2πxᵢ)), minimum 0 at the origin.
pub(super) const RASTRIGIN: TestFunction = TestFunction {
    name: "rastrigin",
    title: "Rastrigin function",
    min_dimension: 1,
    max_dimension: usize::MAX,
    start: |d| vec![2.2; d],
    minimum: |_| 0.0,
    evaluate: |x, gradient| {
        let mut value = 10.0 * x.len() as f64;
        for (g, x) in gradient.iter_mut().zip(x) {
            value += x * x - 10.0 * (TAU * x).cos();
            *g = 2.0 * x + 10.0 * TAU * (TAU * x).sin();
        }
        value
    },
};
