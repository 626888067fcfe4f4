//! Helical valley: a valley that winds around an axis.

use std::f64::consts::TAU;

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// f(x) = 100(x₃ − 10θ)² + 100(r − 1)² + x₃², where r and 2πθ are the polar coordinates of (x₁, x₂)
/// with −¼ ≤ θ < ¾. Minimum 0 at (1, 0, 0).
pub(crate) const HELICAL_VALLEY: TestFunction = TestFunction::new(
    "helical-valley",
    "Helical valley function",
    "R. Fletcher & M. J. D. Powell, A Rapidly Convergent Descent Method for Minimization, Comput. \
    J. 6, 1963; problem 7 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::only(3),
    |_| Function::new(vec![-1.0, 0.0, 0.0], evaluate).with_minimum_at(0.0, vec![1.0, 0.0, 0.0]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let half = if x[0] < 0.0 { 0.5 } else { 0.0 };
    let theta = (x[1] / x[0]).atan() / TAU + half;
    let square = x[0] * x[0] + x[1] * x[1];
    let radius = square.sqrt();
    let turn = 100.0 / (TAU * square);
    let mut sum = Squares::new(gradient);
    sum.add(
        10.0 * (x[2] - 10.0 * theta),
        [turn * x[1], -turn * x[0], 10.0],
    );
    sum.add(
        10.0 * (radius - 1.0),
        [10.0 * x[0] / radius, 10.0 * x[1] / radius, 0.0],
    );
    sum.add(x[2], [0.0, 0.0, 1.0]);
    sum.value
}
