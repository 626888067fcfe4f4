//! Salomon (1996): waves in the distance from the origin.

use std::f64::consts::TAU;

use crate::lanes::{map, sum};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = 1 − cos(2π‖x‖) + 0.1‖x‖, minimum 0 at the origin, where it has a kink.
pub(crate) const SALOMON: TestFunction = TestFunction::new(
    "salomon",
    "Salomon function",
    "R. Salomon, Re-evaluating Genetic Algorithm Performance Under Coordinate Rotation of \
    Benchmark Functions, BioSystems 39, 1996",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![1.0; d], evaluate).with_minimum_at(0.0, vec![0.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let radius = sum([x], |[x]| x * x).sqrt();
    let (sine, cosine) = (TAU * radius).sin_cos();
    // At the kink 0 is a subgradient.
    let rate = if radius > 0.0 {
        (TAU * sine + 0.1) / radius
    } else {
        0.0
    };
    map([x], gradient, |[x]| rate * x);
    1.0 - cosine + 0.1 * radius
}
