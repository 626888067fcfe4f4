//! Sum of different powers: each axis has its own order.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ |xᵢ|^(i+1), minimum 0 at the origin. Start in the cube |xᵢ| ≤ 1 that it is meant for.
pub(crate) const DIFFERENT_POWERS: TestFunction = TestFunction::new(
    "different-powers",
    "Sum of different powers",
    "M. Jamil & X.-S. Yang, A Literature Survey of Benchmark Functions, Int. J. Math. Model. \
    Numer. Optim. 4, 2013, function 93 (Powell sum)",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![0.9; d], evaluate).with_minimum_at(0.0, vec![0.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (i, (g, x)) in gradient.iter_mut().zip(x).enumerate() {
        let order = i as i32 + 1;
        let power = x.abs().powi(order);
        value += power * x.abs();
        *g = f64::from(order + 1) * power.copysign(*x);
    }
    value
}
