//! Brown badly scaled: variables twelve orders of magnitude apart.

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// f(x) = (x₁ − 10⁶)² + (x₂ − 2·10⁻⁶)² + (x₁x₂ − 2)², minimum 0 at (10⁶, 2·10⁻⁶).
pub(crate) const BROWN_BADLY_SCALED: TestFunction = TestFunction::new(
    "brown-badly-scaled",
    "Brown badly scaled function",
    "Problem 4 of J. J. Moré, B. S. Garbow & K. E. Hillstrom, Testing Unconstrained Optimization \
     Software, ACM TOMS 7, 1981",
    Dimensions::only(2),
    |_| Function::new(vec![1.0, 1.0], evaluate).with_minimum_at(0.0, vec![1e6, 2e-6]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut sum = Squares::new(gradient);
    sum.add(x[0] - 1e6, [1.0, 0.0]);
    sum.add(x[1] - 2e-6, [0.0, 1.0]);
    sum.add(x[0] * x[1] - 2.0, [x[1], x[0]]);
    sum.value
}
