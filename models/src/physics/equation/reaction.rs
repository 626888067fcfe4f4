//! Logistic growth at every x by itself.

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Equation, Residual};
use super::terms::{ONE, PERIODIC_DOMAIN, ansatz_from, bell, check_finite, periodic_from};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Jet, Orders, Point};

/// u_t = ρ u (1 − u) on (0, 2π) × (0, 1), periodic in x, u(x, 0) = h(x) with
/// h(x) = exp(−(x − π)² / (2 (π/4)²)); u = h e^{ρt} / (h e^{ρt} + 1 − h).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// ρ; 5 in Rathore et al. 2024.
    pub rate: f64,
}

impl Equation for Reaction {
    fn check(&self) -> Result<()> {
        check_finite("rate", self.rate)
    }

    fn domain(&self) -> Domain {
        PERIODIC_DOMAIN
    }

    fn orders(&self) -> Orders {
        Orders { x: 0, t: 1 }
    }

    fn residual(&self, _: Point, u: &Jet) -> Residual {
        Residual {
            value: u.t - self.rate * u.u * (1.0 - u.u),
            by: Jet {
                t: 1.0,
                u: -self.rate * (1.0 - 2.0 * u.u),
                ..Jet::default()
            },
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        periodic_from(bell)
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        ansatz_from(bell(x), ONE, t)
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        let exact = |[x, t]: &Point| grown(bell(*x)[0], self.rate * t);
        Some(points.iter().map(exact).collect())
    }
}

/// Logistic growth from u over a time, given times the rate: u e^s / (u e^s + 1 − u).
pub(super) fn grown(u: f64, time: f64) -> f64 {
    let growth = u * libm::exp(time);
    growth / (growth + 1.0 - u)
}
