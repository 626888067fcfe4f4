//! Booth: a convex quadratic in two dimensions.

use crate::{Dimensions, Function, TestFunction};

/// f(x, y) = (x + 2y − 7)² + (2x + y − 5)², minimum 0 at (1, 3).
pub(crate) const BOOTH: TestFunction = TestFunction::new(
    "booth",
    "Booth function",
    "M. Jamil & X.-S. Yang, A Literature Survey of Benchmark Functions, Int. J. Math. Model. \
    Numer. Optim. 4, 2013, function 17",
    Dimensions::only(2),
    |_| Function::new(vec![-5.0, -5.0], evaluate).with_minimum_at(0.0, vec![1.0, 3.0]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let a = x[0] + 2.0 * x[1] - 7.0;
    let b = 2.0 * x[0] + x[1] - 5.0;
    gradient[0] = 2.0 * a + 4.0 * b;
    gradient[1] = 4.0 * a + 2.0 * b;
    a * a + b * b
}
