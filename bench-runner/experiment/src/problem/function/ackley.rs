//! Ackley (1987): a nearly flat outer region and a deep hole at the origin.

use std::f64::consts::{E, TAU};

use super::test_function::TestFunction;

/// f(x) = −20 exp(−0.2 √(Σxᵢ²/d)) − exp(Σcos(2πxᵢ)/d) + 20 + e, minimum 0 at the origin.
pub(super) const ACKLEY: TestFunction = TestFunction {
    name: "ackley",
    title: "Ackley function",
    min_dimension: 1,
    max_dimension: usize::MAX,
    start: |d| vec![1.5; d],
    minimum: |_| 0.0,
    evaluate: |x, gradient| {
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
    },
};
