//! Waves on a string with fixed ends.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Edge, Equation, Residual};
use super::terms::{ONE, UNIT_SQUARE, bump, check_finite, sine};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Derivative, Jet, Orders, Point};

/// u_tt = c² u_xx on the unit square, u(x, 0) = sin πx + ½ sin 5πx, u_t(x, 0) = 0,
/// u(0, t) = u(1, t) = 0; u = sin πx cos cπt + ½ sin 5πx cos 5cπt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// c; 2 in Rathore et al. 2024.
    pub speed: f64,
}

impl Equation for Wave {
    fn check(&self) -> Result<()> {
        check_finite("speed", self.speed)
    }

    fn domain(&self) -> Domain {
        UNIT_SQUARE
    }

    fn orders(&self) -> Orders {
        Orders { x: 2, t: 2 }
    }

    fn residual(&self, _: Point, u: &Jet) -> Residual {
        let square = self.speed * self.speed;
        Residual {
            value: u.tt - square * u.xx,
            by: Jet {
                tt: 1.0,
                xx: -square,
                ..Jet::default()
            },
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        use Derivative::{T, Value};
        vec![
            Condition::new("initial", Edge::Start, Value, |[x, _]| start(x)[0]),
            Condition::new("initial_velocity", Edge::Start, T, |_| 0.0),
            Condition::new("left", Edge::Left, Value, |_| 0.0),
            Condition::new("right", Edge::Right, Value, |_| 0.0),
        ]
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        Some(Ansatz {
            offset: Jet::separable(start(x), ONE),
            factor: Jet::separable(bump(UNIT_SQUARE.x, x), [t * t, 2.0 * t, 2.0]),
        })
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        let mode = |k: f64, x: f64, t: f64| libm::sin(k * x) * libm::cos(k * self.speed * t);
        let exact = |[x, t]: &Point| mode(PI, *x, *t) + 0.5 * mode(5.0 * PI, *x, *t);
        Some(points.iter().map(exact).collect())
    }
}

/// sin πx + ½ sin 5πx with its derivatives.
fn start(x: f64) -> [f64; 3] {
    let (slow, fast) = (sine(PI, x), sine(5.0 * PI, x));
    std::array::from_fn(|k| slow[k] + 0.5 * fast[k])
}
