//! Rosenbrock (1960), chained to any dimension: a narrow curved valley.

use crate::{Dimensions, Function, TestFunction};

/// f(x) = Σᵢ 100(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², minimum 0 at (1, …, 1). Standard start
/// (−1.2, 1, −1.2, …).
pub(crate) const ROSENBROCK: TestFunction = TestFunction::new(
    "rosenbrock",
    "Rosenbrock function",
    "H. H. Rosenbrock, An Automatic Method for Finding the Greatest or Least Value of a Function, \
    Comput. J. 3, 1960",
    Dimensions::range(2, usize::MAX),
    |d| {
        let start = (0..d).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 });
        Function::new(start.collect(), evaluate).with_minimum_at(0.0, vec![1.0; d])
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    gradient.fill(0.0);
    for i in 0..x.len() - 1 {
        let valley = x[i + 1] - x[i] * x[i];
        let slope = 1.0 - x[i];
        value += 100.0 * valley * valley + slope * slope;
        gradient[i] -= 400.0 * valley * x[i] + 2.0 * slope;
        gradient[i + 1] += 200.0 * valley;
    }
    value
}
