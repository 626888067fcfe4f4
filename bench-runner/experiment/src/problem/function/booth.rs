//! Booth: a convex quadratic in two dimensions.

use super::test_function::TestFunction;

/// f(x, y) = (x + 2y − 7)² + (2x + y − 5)², minimum 0 at (1, 3).
pub(super) const BOOTH: TestFunction = TestFunction {
    name: "booth",
    title: "Booth function",
    min_dimension: 2,
    max_dimension: 2,
    start: |_| vec![-5.0, -5.0],
    minimum: |_| 0.0,
    evaluate: |x, gradient| {
        let a = x[0] + 2.0 * x[1] - 7.0;
        let b = 2.0 * x[0] + x[1] - 5.0;
        gradient[0] = 2.0 * a + 4.0 * b;
        gradient[1] = 4.0 * a + 2.0 * b;
        a * a + b * b
    },
};
