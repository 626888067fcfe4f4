//! Himmelblau (1972): four equal minima.

use super::test_function::TestFunction;

/// f(x, y) = (x² + y − 11)² + (x + y² − 7)², minimum 0 at (3, 2) and three more points.
pub(super) const HIMMELBLAU: TestFunction = TestFunction {
    name: "himmelblau",
    title: "Himmelblau function",
    min_dimension: 2,
    max_dimension: 2,
    start: |_| vec![0.0, 0.0],
    minimum: |_| 0.0,
    evaluate: |x, gradient| {
        let a = x[0] * x[0] + x[1] - 11.0;
        let b = x[0] + x[1] * x[1] - 7.0;
        gradient[0] = 4.0 * a * x[0] + 2.0 * b;
        gradient[1] = 2.0 * a + 4.0 * b * x[1];
        a * a + b * b
    },
};
