//! Styblinski and Tang (1990): 2ᵈ minima, one of them the lowest.

use crate::{Dimensions, Function, TestFunction};

/// The lowest root of 4x³ − 32x + 5, the derivative of x⁴ − 16x² + 5x.
const MINIMIZER: f64 = -2.903_534_027_771_178;
/// The minimum of a dimension.
const MINIMUM: f64 = -39.166_165_703_771_41;

/// f(x) = ½ Σ(xᵢ⁴ − 16xᵢ² + 5xᵢ), minimum −39.16617 d at xᵢ = −2.903534.
pub(crate) const STYBLINSKI_TANG: TestFunction = TestFunction::new(
    "styblinski-tang",
    "Styblinski–Tang function",
    "M. A. Styblinski & T.-S. Tang, Experiments in Nonconvex Optimization, Neural Networks 3, 1990",
    Dimensions::range(1, usize::MAX),
    |d| {
        Function::new(vec![-1.0; d], evaluate)
            .with_minimum_at(MINIMUM * d as f64, vec![MINIMIZER; d])
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (g, x) in gradient.iter_mut().zip(x) {
        value += 0.5 * (x.powi(4) - 16.0 * x * x + 5.0 * x);
        *g = 2.0 * x.powi(3) - 16.0 * x + 2.5;
    }
    value
}
