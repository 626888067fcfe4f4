//! Beale (1958): a curved valley with sharp corners.

use super::test_function::TestFunction;

/// f(x, y) = Σₖ (cₖ − x(1 − yᵏ))², c = (1.5, 2.25, 2.625), minimum 0 at (3, 0.5); standard start
/// (1, 1) (Moré, Garbow and Hillstrom 1981, problem 5).
pub(super) const BEALE: TestFunction = TestFunction {
    name: "beale",
    title: "Beale function",
    min_dimension: 2,
    max_dimension: 2,
    start: |_| vec![1.0, 1.0],
    minimum: |_| 0.0,
    evaluate: |x, gradient| {
        let (x, y) = (x[0], x[1]);
        let mut value = 0.0;
        gradient.fill(0.0);
        for (k, c) in [(1, 1.5), (2, 2.25), (3, 2.625)] {
            let residual = c - x * (1.0 - y.powi(k));
            value += residual * residual;
            gradient[0] -= 2.0 * residual * (1.0 - y.powi(k));
            gradient[1] += 2.0 * residual * x * f64::from(k) * y.powi(k - 1);
        }
        value
    },
};
