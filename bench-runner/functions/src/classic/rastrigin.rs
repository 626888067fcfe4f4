//! Rastrigin (1974): a bowl covered with local minima.

use std::f64::consts::TAU;

use crate::{Dimensions, Function, TestFunction};

/// f(x) = 10d + Σ(xᵢ² − 10 cos(2πxᵢ)), minimum 0 at the origin.
pub(crate) const RASTRIGIN: TestFunction = TestFunction::new(
    "rastrigin",
    "Rastrigin function",
    "L. A. Rastrigin, Systems of Extremal Control, Nauka, 1974; H. Mühlenbein, M. Schomisch & J. \
    Born, Parallel Comput. 17, 1991",
    Dimensions::range(1, usize::MAX),
    |d| Function::new(vec![2.2; d], evaluate).with_minimum_at(0.0, vec![0.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 10.0 * x.len() as f64;
    for (g, x) in gradient.iter_mut().zip(x) {
        value += x * x - 10.0 * (TAU * x).cos();
        *g = 2.0 * x + 10.0 * TAU * (TAU * x).sin();
    }
    value
}
