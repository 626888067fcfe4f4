//! Diffusion in a rod with cold ends.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{
    Ansatz, Condition, Derivative, Domain, Edge, Equation, Jet, ONE, Orders, Point, Residual,
    Result, UNIT_SQUARE, bump, check_positive, linear, sine,
};

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
        use Derivative::Value;
        vec![
            Condition::new("initial", Edge::Start, Value, |[x, _]| sine(PI, x)[0]),
            Condition::new("left", Edge::Left, Value, |_| 0.0),
            Condition::new("right", Edge::Right, Value, |_| 0.0),
        ]
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        Some(Ansatz {
            offset: Jet::separable(sine(PI, x), ONE),
            factor: Jet::separable(bump(UNIT_SQUARE.x, x), linear(t)),
        })
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        let decay = |t: f64| libm::exp(-self.diffusivity * PI * PI * t);
        let exact = |[x, t]: &Point| decay(*t) * libm::sin(PI * x);
        Some(points.iter().map(exact).collect())
    }
}
