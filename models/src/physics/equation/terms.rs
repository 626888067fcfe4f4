//! Terms that several equations have: checks of coefficients, domains, starts and ends.

use super::definition::{Condition, Domain, Edge};
use crate::error::{Error, Result};
use crate::physics::jet::{Ansatz, Derivative, Jet};

/// Whether a coefficient is finite and above 0.
pub(super) fn check_positive(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::setting(name, value, "a finite number above 0"))
}

/// Whether a coefficient is finite.
pub(super) fn check_finite(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::setting(name, value, "a finite number"))
}

/// sin(k s) with its first and second derivative by s.
pub(super) fn sine(k: f64, s: f64) -> [f64; 3] {
    let (sin, cos) = (libm::sin(k * s), libm::cos(k * s));
    [sin, k * cos, -k * k * sin]
}

/// (s − a) (b − s) with its derivatives: zero at both ends of an interval.
pub(super) fn bump([a, b]: [f64; 2], s: f64) -> [f64; 3] {
    [(s - a) * (b - s), a + b - 2.0 * s, -2.0]
}

/// The constant 1 with its derivatives.
pub(super) const ONE: [f64; 3] = [1.0, 0.0, 0.0];

/// u starts as the function `start`, given with its derivatives, and is periodic in x.
pub(super) fn periodic_from(start: fn(f64) -> [f64; 3]) -> Vec<Condition> {
    vec![
        Condition::new("initial", Edge::Start, Derivative::Value, move |[x, _]| {
            start(x)[0]
        }),
        Condition::periodic(),
    ]
}

/// u starts as the function `start`, given with its derivatives, and is `end` at both ends.
pub(super) fn fixed_ends_from(start: fn(f64) -> [f64; 3], end: f64) -> Vec<Condition> {
    use Derivative::Value;
    vec![
        Condition::new("initial", Edge::Start, Value, move |[x, _]| start(x)[0]),
        Condition::new("left", Edge::Left, Value, move |_| end),
        Condition::new("right", Edge::Right, Value, move |_| end),
    ]
}

/// u = start(x) + t factor(x) N, from start and factor at x with their derivatives.
pub(super) fn ansatz_from(start: [f64; 3], factor: [f64; 3], t: f64) -> Option<Ansatz> {
    Some(Ansatz {
        offset: Jet::separable(start, ONE),
        factor: Jet::separable(factor, [t, 1.0, 0.0]),
    })
}

/// (0, 2π) × (0, 1), the domain of the periodic equations.
pub(super) const PERIODIC_DOMAIN: Domain = Domain {
    x: [0.0, std::f64::consts::TAU],
    t: [0.0, 1.0],
};

/// The unit square.
pub(super) const UNIT_SQUARE: Domain = Domain {
    x: [0.0, 1.0],
    t: [0.0, 1.0],
};

/// (−1, 1) × (0, 1).
pub(super) const SYMMETRIC_DOMAIN: Domain = Domain {
    x: [-1.0, 1.0],
    t: [0.0, 1.0],
};

/// The bell curve h(x) = exp(−(x − π)² / (2 (π/4)²)) with its derivatives, where reactions start.
pub(super) fn bell(x: f64) -> [f64; 3] {
    const VARIANCE: f64 = std::f64::consts::FRAC_PI_4 * std::f64::consts::FRAC_PI_4;
    let distance = x - std::f64::consts::PI;
    let h = libm::exp(-distance * distance / (2.0 * VARIANCE));
    let slope = -distance / VARIANCE;
    [h, slope * h, (slope * slope - 1.0 / VARIANCE) * h]
}
