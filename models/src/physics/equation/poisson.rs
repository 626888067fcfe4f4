//! An elliptic equation on a square; its second space variable y is called t.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Edge, Equation, Residual};
use super::terms::{UNIT_SQUARE, bump, check_positive};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Derivative, Jet, Orders, Point};

/// u_xx + u_yy = −2 k²π² sin kπx sin kπy on the unit square, u = 0 on its edges;
/// u = sin kπx sin kπy, which needs a whole k.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poisson {
    /// k, the number of half waves along each edge.
    #[serde(default = "one")]
    pub half_waves: u32,
}

fn one() -> u32 {
    1
}

impl Poisson {
    fn exact(&self, [x, y]: Point) -> f64 {
        let k = f64::from(self.half_waves) * PI;
        libm::sin(k * x) * libm::sin(k * y)
    }
}

impl Equation for Poisson {
    fn check(&self) -> Result<()> {
        check_positive("half_waves", f64::from(self.half_waves))
    }

    fn domain(&self) -> Domain {
        UNIT_SQUARE
    }

    fn orders(&self) -> Orders {
        Orders { x: 2, t: 2 }
    }

    fn residual(&self, at: Point, u: &Jet) -> Residual {
        let k = f64::from(self.half_waves) * PI;
        Residual {
            value: u.xx + u.tt + 2.0 * k * k * self.exact(at),
            by: Jet {
                xx: 1.0,
                tt: 1.0,
                ..Jet::default()
            },
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        let zero = |name, edge| Condition::new(name, edge, Derivative::Value, |_| 0.0);
        vec![
            zero("bottom", Edge::Start),
            zero("top", Edge::End),
            zero("left", Edge::Left),
            zero("right", Edge::Right),
        ]
    }

    fn ansatz(&self, [x, y]: Point) -> Option<Ansatz> {
        Some(Ansatz {
            offset: Jet::default(),
            factor: Jet::separable(bump(UNIT_SQUARE.x, x), bump(UNIT_SQUARE.t, y)),
        })
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        Some(points.iter().map(|at| self.exact(*at)).collect())
    }
}
