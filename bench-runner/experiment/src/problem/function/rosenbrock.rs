//! Rosenbrock (1960), chained to any dimension: a narrow curved valley.

use super::test_function::TestFunction;

/// f(x) = Σᵢ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², minimum 0 at (1, …, 1); standard start (−1.2, 1, −1.2, …).
pub(super) const ROSENBROCK: TestFunction = TestFunction {
    name: "rosenbrock",
    title: "Rosenbrock function",
    min_dimension: 2,
    max_dimension: usize::MAX,
    start: |d| {
        (0..d)
            .map(|i| if i % 2 == 0 { -1.2 } else { 1.0 })
            .collect()
    },
    minimum: |_| 0.0,
    evaluate: |x, gradient| {
        let mut value = 0.0;
        gradient.fill(0.0);
        for i in 0..x.len() - 1 {
            let valley = x[i + 1] - x[i] * x[i];
            let slope = 1.0 - x[i];
            value += 100.0 * valley * valley + slope * slope;
            gradient[i] -= 400.0 * valley * x[i] + 2.0 * slope;
            gradient[i + 1] += 200.0 * valley;
        }
        value
    },
};
