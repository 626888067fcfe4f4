//! Ackley (1987): a nearly flat outer region and a deep hole at the origin.

use std::f64::consts::{E, TAU};

use crate::{Dimensions, Function, TestFunction};

/// f(x) = −20 exp(−0.2 √(Σxᵢ²/d)) − exp(Σcos(2πxᵢ)/d) + 20 + e, minimum 0 at the origin.
pub(crate) const ACKLEY: TestFunction = TestFunction::new(
    "ackley",
    "Ackley function",
    "D. H. Ackley, A Connectionist Machine for Genetic Hillclimbing, Kluwer, 1987",
    Dimensions::range(1, usize::MAX),
    |d| Function::new(vec![1.5; d], evaluate).with_minimum_at(0.0, vec![0.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let d = x.len() as f64;
    let radius = (x.iter().map(|x| x * x).sum::<f64>() / d).sqrt();
    let bowl = 20.0 * (-0.2 * radius).exp();
    let waves = (x.iter().map(|x| (TAU * x).cos()).sum::<f64>() / d).exp();
    for (g, x) in gradient.iter_mut().zip(x) {
        // The function has a kink at the origin, where 0 is a subgradient.
        let outer = if radius > 0.0 {
            0.2 * bowl * x / (d * radius)
        } else {
            0.0
        };
        *g = outer + waves * TAU * (TAU * x).sin() / d;
    }
    20.0 + E - bowl - waves
}
