//! Himmelblau (1972): four equal minima.

use crate::{Dimensions, Function, TestFunction};

/// f(x, y) = (x² + y − 11)² + (x + y² − 7)², minimum 0 at (3, 2) and three more points.
pub(crate) const HIMMELBLAU: TestFunction = TestFunction::new(
    "himmelblau",
    "Himmelblau function",
    "D. M. Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972",
    Dimensions::only(2),
    |_| Function::new(vec![0.0, 0.0], evaluate).with_minimum_at(0.0, vec![3.0, 2.0]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let a = x[0] * x[0] + x[1] - 11.0;
    let b = x[0] + x[1] * x[1] - 7.0;
    gradient[0] = 4.0 * a * x[0] + 2.0 * b;
    gradient[1] = 2.0 * a + 4.0 * b * x[1];
    a * a + b * b
}
