//! Transport at constant speed.

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Equation, Residual};
use super::terms::{ONE, PERIODIC_DOMAIN, ansatz_from, check_finite, periodic_from, sine};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Jet, Orders, Point};

/// u_t + β u_x = 0 on (0, 2π) × (0, 1), periodic in x, u(x, 0) = sin x; u = sin(x − β t).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convection {
    /// β; 40 in Rathore et al. 2024.
    pub speed: f64,
}

impl Equation for Convection {
    fn check(&self) -> Result<()> {
        check_finite("speed", self.speed)
    }

    fn domain(&self) -> Domain {
        PERIODIC_DOMAIN
    }

    fn orders(&self) -> Orders {
        Orders { x: 1, t: 1 }
    }

    fn residual(&self, _: Point, u: &Jet) -> Residual {
        Residual {
            value: u.t + self.speed * u.x,
            by: Jet {
                t: 1.0,
                x: self.speed,
                ..Jet::default()
            },
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        periodic_from(|x| sine(1.0, x))
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        ansatz_from(sine(1.0, x), ONE, t)
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        let exact = |[x, t]: &Point| libm::sin(x - self.speed * t);
        Some(points.iter().map(exact).collect())
    }
}
