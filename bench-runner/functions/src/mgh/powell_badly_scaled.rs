//! Powell badly scaled: a product and exponentials, four orders of magnitude apart.

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// f(x) = (10⁴x₁x₂ − 1)² + (e^(−x₁) + e^(−x₂) − 1.0001)². Minimum 0 near (1.098·10⁻⁵, 9.106).
pub(crate) const POWELL_BADLY_SCALED: TestFunction = TestFunction::new(
    "powell-badly-scaled",
    "Powell badly scaled function",
    "M. J. D. Powell, A Hybrid Method for Nonlinear Equations, in Numerical Methods for Nonlinear \
    Algebraic Equations, Gordon & Breach, 1970; problem 3 of Moré, Garbow & Hillstrom, ACM TOMS \
    7, 1981",
    Dimensions::only(2),
    |_| Function::new(vec![0.0, 1.0], evaluate).with_minimum(0.0),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let (a, b) = ((-x[0]).exp(), (-x[1]).exp());
    let mut sum = Squares::new(gradient);
    sum.add(1e4 * x[0] * x[1] - 1.0, [1e4 * x[1], 1e4 * x[0]]);
    sum.add(a + b - 1.0001, [-a, -b]);
    sum.value
}
