//! The functions in the untransformed space that several of BBOB's functions share.

use std::f64::consts::TAU;

/// 10(d − Σ cos 2πzᵢ) + Σ zᵢ².
pub(super) fn rastrigin(z: &[f64], gradient: &mut [f64]) -> f64 {
    let (mut waves, mut squares) = (0.0, 0.0);
    for (g, z) in gradient.iter_mut().zip(z) {
        let (sine, cosine) = (TAU * z).sin_cos();
        waves += cosine;
        squares += z * z;
        *g = 10.0 * TAU * sine + 2.0 * z;
    }
    10.0 * (z.len() as f64 - waves) + squares
}

/// Σ wᵢ zᵢ².
pub(super) fn weighted_squares(weights: &[f64], z: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for ((g, z), weight) in gradient.iter_mut().zip(z).zip(weights) {
        value += weight * z * z;
        *g = 2.0 * weight * z;
    }
    value
}

/// 100(zᵢ² − zᵢ₊₁)² + (zᵢ − 1)² with its derivatives by zᵢ and zᵢ₊₁.
pub(super) fn rosenbrock_term(z: f64, next: f64) -> (f64, f64, f64) {
    let valley = z * z - next;
    let slope = z - 1.0;
    (
        100.0 * valley * valley + slope * slope,
        400.0 * valley * z + 2.0 * slope,
        -200.0 * valley,
    )
}
