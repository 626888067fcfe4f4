//! Diffusion in a rod with cold ends.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Equation, Residual};
use super::terms::{UNIT_SQUARE, ansatz_from, bump, check_positive, fixed_ends_from, sine};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Jet, Orders, Point};

/// u_t = ν u_xx on the unit square, u(x, 0) = sin πx, u(0, t) = u(1, t) = 0;
/// u = e^{−νπ²t} sin πx.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// ν; 0.4 in DeepXDE's example.
    pub diffusivity: f64,
}

impl Equation for Heat {
    fn check(&self) -> Result<()> {
        check_positive("diffusivity", self.diffusivity)
    }

    fn domain(&self) -> Domain {
        UNIT_SQUARE
    }

    fn orders(&self) -> Orders {
        Orders { x: 2, t: 1 }
    }

    fn residual(&self, _: Point, u: &Jet) -> Residual {
        Residual {
            value: u.t - self.diffusivity * u.xx,
            by: Jet {
                t: 1.0,
                xx: -self.diffusivity,
                ..Jet::default()
            },
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        fixed_ends_from(|x| sine(PI, x), 0.0)
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        ansatz_from(sine(PI, x), bump(UNIT_SQUARE.x, x), t)
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        let decay = |t: f64| libm::exp(-self.diffusivity * PI * PI * t);
        let exact = |[x, t]: &Point| decay(*t) * libm::sin(PI * x);
        Some(points.iter().map(exact).collect())
    }
}
