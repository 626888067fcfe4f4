//! Gaussian: a bell curve fitted to fifteen points.

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// The observations; the list is symmetric.
const Y: [f64; 15] = [
    0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540,
    0.0175, 0.0044, 0.0009,
];

/// f(x) = Σᵢ₌₁¹⁵ (x₁ exp(−x₂(tᵢ − x₃)²/2) − yᵢ)², tᵢ = (8 − i)/2. Minimum 1.12793·10⁻⁸.
pub(crate) const GAUSSIAN: TestFunction = TestFunction::new(
    "gaussian",
    "Gaussian function",
    "Problem 9 of J. J. Moré, B. S. Garbow & K. E. Hillstrom, Testing Unconstrained Optimization \
     Software, ACM TOMS 7, 1981",
    Dimensions::only(3),
    |_| Function::new(vec![0.4, 1.0, 0.0], evaluate).with_minimum(1.12793e-8),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut sum = Squares::new(gradient);
    for (i, y) in Y.iter().enumerate() {
        let distance = (7.0 - i as f64) / 2.0 - x[2];
        let square = 0.5 * distance * distance;
        let bell = (-x[1] * square).exp();
        let height = x[0] * bell;
        sum.add(
            height - y,
            [bell, -height * square, height * x[1] * distance],
        );
    }
    sum.value
}
