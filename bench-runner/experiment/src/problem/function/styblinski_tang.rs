//! Styblinski and Tang (1990): 2ᵈ minima, one of them the lowest.

use super::test_function::TestFunction;

/// f(x) = ½ Σ(xᵢ⁴ − 16xᵢ² + 5xᵢ), minimum −39.16617 d at xᵢ = −2.903534.
pub(super) const STYBLINSKI_TANG: TestFunction = TestFunction {
    name: "styblinski-tang",
    title: "Styblinski–Tang function",
    min_dimension: 1,
    max_dimension: usize::MAX,
    start: |d| vec![-1.0; d],
    minimum: |d| -39.166_165_703_771_41 * d as f64,
    evaluate: |x, gradient| {
        let mut value = 0.0;
        for (g, x) in gradient.iter_mut().zip(x) {
            value += 0.5 * (x.powi(4) - 16.0 * x * x + 5.0 * x);
            *g = 2.0 * x.powi(3) - 16.0 * x + 2.5;
        }
        value
    },
};
