//! Goldstein and Price (1971): several local minima, values over six orders of magnitude.

use super::test_function::TestFunction;

/// f(x, y) = [1 + (x + y + 1)² p(x, y)] · [30 + (2x − 3y)² q(x, y)], minimum 3 at (0, −1).
pub(super) const GOLDSTEIN_PRICE: TestFunction = TestFunction {
    name: "goldstein-price",
    title: "Goldstein–Price function",
    min_dimension: 2,
    max_dimension: 2,
    start: |_| vec![0.5, -0.5],
    minimum: |_| 3.0,
    evaluate: |x, gradient| {
        let (x, y) = (x[0], x[1]);
        let s = x + y + 1.0;
        let p = 19.0 - 14.0 * x + 3.0 * x * x - 14.0 * y + 6.0 * x * y + 3.0 * y * y;
        let a = 1.0 + s * s * p;
        let t = 2.0 * x - 3.0 * y;
        let q = 18.0 - 32.0 * x + 12.0 * x * x + 48.0 * y - 36.0 * x * y + 27.0 * y * y;
        let b = 30.0 + t * t * q;
        // ∂p/∂x = ∂p/∂y = 6(x + y) − 14.
        let a_slope = 2.0 * s * p + s * s * (6.0 * (x + y) - 14.0);
        let b_x = 4.0 * t * q + t * t * (-32.0 + 24.0 * x - 36.0 * y);
        let b_y = -6.0 * t * q + t * t * (48.0 - 36.0 * x + 54.0 * y);
        gradient[0] = a_slope * b + a * b_x;
        gradient[1] = a_slope * b + a * b_y;
        a * b
    },
};
