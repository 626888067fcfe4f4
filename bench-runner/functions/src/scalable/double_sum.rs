//! Schwefel's double sum (problem 1.2): a quadratic with condition number of order d².

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ (x₁ + … + xᵢ)², minimum 0 at the origin. Running sums make it O(d), and each waits for
/// the one before.
pub(crate) const DOUBLE_SUM: TestFunction = TestFunction::new(
    "double-sum",
    "Schwefel's double sum",
    "H.-P. Schwefel, Numerical Optimization of Computer Models, Wiley, 1981, problem 1.2",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![5.0; d], evaluate).with_minimum_at(0.0, vec![0.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let (mut value, mut partial) = (0.0, 0.0);
    for (g, x) in gradient.iter_mut().zip(x) {
        partial += x;
        value += partial * partial;
        *g = 2.0 * partial;
    }
    let mut later = 0.0;
    for g in gradient.iter_mut().rev() {
        later += *g;
        *g = later;
    }
    value
}
