//! A wave that steepens until viscosity holds it.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Equation, Residual};
use super::terms::{SYMMETRIC_DOMAIN, ansatz_from, bump, fixed_ends_from, sine};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Jet, Orders, Point};

/// u_t + u u_x = ν u_xx on (−1, 1) × (0, 1), u(x, 0) = −sin πx, u(±1, t) = 0.
///
/// The solution is that of Cole and Hopf, with θ(y) = exp(−cos(πy) / (2πν)):
/// u = −∫ sin(π(x − η)) θ(x − η) e^{−η²/(4νt)} dη / ∫ θ(x − η) e^{−η²/(4νt)} dη,
/// by the trapezoidal rule to 1e-10.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burgers {
    /// ν, at least 0.001; 0.01/π in DeepXDE's example.
    #[serde(default = "usual_viscosity")]
    pub viscosity: f64,
}

fn usual_viscosity() -> f64 {
    0.01 / PI
}

impl Default for Burgers {
    fn default() -> Self {
        Self {
            viscosity: usual_viscosity(),
        }
    }
}

impl Burgers {
    /// The solution at one point with so many nodes of the rule.
    ///
    /// With η = 2 √(νt) s both integrands are entire functions that fall like e^{−s²}, for which the
    /// rule converges faster than any power of the distance of its nodes. θ changes by at most
    /// e^{1/(πν)}, so that nothing beyond s² = 1/(πν) + 37 reaches the last digit.
    fn cole_hopf(&self, [x, t]: Point, nodes: usize) -> f64 {
        if t <= 0.0 {
            return start(x)[0];
        }
        let range = (1.0 / (PI * self.viscosity) + 37.0).sqrt();
        let width = 2.0 * (self.viscosity * t).sqrt();
        let node = |i: usize| range * (2.0 * i as f64 / (nodes - 1) as f64 - 1.0);
        let exponent = |s: f64| {
            let y = PI * (x - width * s);
            -libm::cos(y) / (2.0 * PI * self.viscosity) - s * s
        };
        // The largest exponent is taken off both integrals.
        let largest = (0..nodes).map(|i| exponent(node(i)));
        let largest = largest.fold(f64::NEG_INFINITY, f64::max);
        let (mut above, mut below) = (0.0, 0.0);
        for s in (0..nodes).map(node) {
            let weight = libm::exp(exponent(s) - largest);
            above -= weight * libm::sin(PI * (x - width * s));
            below += weight;
        }
        above / below
    }
}

impl Equation for Burgers {
    fn check(&self) -> Result<()> {
        if !(self.viscosity >= 1e-3 && self.viscosity.is_finite()) {
            let expected = "a finite number of at least 0.001, below which the reference solution is not accurate";
            return Err(crate::Error::setting("viscosity", self.viscosity, expected));
        }
        Ok(())
    }

    fn domain(&self) -> Domain {
        SYMMETRIC_DOMAIN
    }

    fn orders(&self) -> Orders {
        Orders { x: 2, t: 1 }
    }

    fn residual(&self, _: Point, u: &Jet) -> Residual {
        Residual {
            value: u.t + u.u * u.x - self.viscosity * u.xx,
            by: Jet {
                u: u.x,
                x: u.u,
                xx: -self.viscosity,
                t: 1.0,
                tt: 0.0,
            },
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        fixed_ends_from(start, 0.0)
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        ansatz_from(start(x), bump(SYMMETRIC_DOMAIN.x, x), t)
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        let solve = |point: &Point| self.cole_hopf(*point, NODES);
        Some(points.iter().map(solve).collect())
    }
}

/// −sin πx with its derivatives.
fn start(x: f64) -> [f64; 3] {
    sine(PI, x).map(|s| -s)
}

/// Nodes of the trapezoidal rule.
const NODES: usize = 500;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_quadrature_has_converged() {
        for viscosity in [1e-3, usual_viscosity(), 0.1] {
            let burgers = Burgers { viscosity };
            for point in [
                [0.01, 0.3],
                [-0.05, 1.0],
                [0.5, 0.02],
                [0.98, 0.7],
                [0.0, 0.5],
            ] {
                let fine = burgers.cole_hopf(point, 4 * NODES);
                let usual = burgers.cole_hopf(point, NODES);
                assert!(
                    (usual - fine).abs() < 1e-10,
                    "{viscosity} {point:?} {usual} {fine}"
                );
                let coarse = burgers.cole_hopf(point, 12);
                assert!(
                    point[0] == 0.0 || (coarse - fine).abs() > 1e-10,
                    "{point:?}"
                );
            }
        }
    }
}
