//! Beale (1958): a curved valley with sharp corners.

use crate::{Dimensions, Function, TestFunction};

/// f(x, y) = Σₖ (cₖ − x(1 − yᵏ))², c = (1.5, 2.25, 2.625), minimum 0 at (3, 0.5); standard start
/// (1, 1) (Moré, Garbow and Hillstrom 1981, problem 5).
pub(crate) const BEALE: TestFunction = TestFunction::new(
    "beale",
    "Beale function",
    "E. M. L. Beale, On an Iterative Method of Finding a Local Minimum, Princeton University, \
    1958; problem 5 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::only(2),
    |_| Function::new(vec![1.0, 1.0], evaluate).with_minimum_at(0.0, vec![3.0, 0.5]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
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
}
