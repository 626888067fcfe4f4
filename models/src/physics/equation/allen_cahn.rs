//! Phases that separate.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Equation, Residual};
use super::spectral::{Basis, solve};
use super::terms::{SYMMETRIC_DOMAIN, ansatz_from, bump, check_positive, fixed_ends_from};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Jet, Orders, Point};

/// u_t = ν u_xx + ρ (u − u³) on (−1, 1) × (0, 1), u(x, 0) = x² cos πx, u(±1, t) = −1.
///
/// The solution is a spectral one with 384 modes, to 1e-6.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllenCahn {
    /// ν, at least 0.0005; 0.001 in DeepXDE's example.
    pub diffusion: f64,
    /// ρ, at most 20 and at most 10,000 ν, for interfaces that the solution resolves; 5 in DeepXDE's
    /// example.
    pub rate: f64,
}

impl Default for AllenCahn {
    fn default() -> Self {
        Self {
            diffusion: 0.001,
            rate: 5.0,
        }
    }
}

impl AllenCahn {
    fn solve(&self, points: &[Point], modes: usize, steps: usize) -> Vec<f64> {
        let [left, right] = SYMMETRIC_DOMAIN.x;
        let basis = Basis::fixed_ends(left, right - left, modes);
        // What is zero at the ends: w = u + 1.
        let growth = |w: f64| {
            let u = w - 1.0;
            self.rate * (u - u * u * u)
        };
        let start = |x: f64| start(x)[0] + 1.0;
        let w = solve(&basis, self.diffusion, growth, start, steps, points);
        w.into_iter().map(|w| w - 1.0).collect()
    }
}

impl Equation for AllenCahn {
    fn check(&self) -> Result<()> {
        check_positive("diffusion", self.diffusion)?;
        check_positive("rate", self.rate)?;
        if self.diffusion < 5e-4 {
            let expected = "at least 0.0005, below which the reference solution is not accurate";
            return Err(crate::Error::setting("diffusion", self.diffusion, expected));
        }
        if self.rate > 20.0 || self.rate > 1e4 * self.diffusion {
            let expected = "at most 20 and at most 10000 times `diffusion`, beyond which the reference \
                            solution is not accurate";
            return Err(crate::Error::setting("rate", self.rate, expected));
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
            value: u.t - self.diffusion * u.xx - self.rate * (u.u - u.u * u.u * u.u),
            by: Jet {
                u: -self.rate * (1.0 - 3.0 * u.u * u.u),
                xx: -self.diffusion,
                t: 1.0,
                ..Jet::default()
            },
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        fixed_ends_from(start, -1.0)
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        ansatz_from(start(x), bump(SYMMETRIC_DOMAIN.x, x), t)
    }

    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        Some(self.solve(points, 384, 500))
    }
}

/// x² cos πx with its derivatives.
fn start(x: f64) -> [f64; 3] {
    let (sin, cos) = (libm::sin(PI * x), libm::cos(PI * x));
    [
        x * x * cos,
        2.0 * x * cos - PI * x * x * sin,
        (2.0 - PI * PI * x * x) * cos - 4.0 * PI * x * sin,
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_solver_converges() {
        let points = [
            [0.0, 0.0],
            [0.5, 0.3],
            [0.9, 0.02],
            [-0.4, 1.0],
            [1.0, 0.5],
            [0.99, 1.0],
        ];
        let least = AllenCahn {
            diffusion: 1e-3,
            rate: 10.0,
        };
        let distance = |a: &[f64], b: &[f64]| {
            let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
            differences.fold(0.0, f64::max)
        };
        for equation in [AllenCahn::default(), least] {
            let fine = equation.solve(&points, 512, 1000);
            let usual = distance(&equation.solution(&points).unwrap(), &fine);
            assert!(usual < 1e-6, "{usual}");
            // Fourth order in the step.
            let fine = equation.solve(&points, 128, 400);
            let coarse = |steps| distance(&equation.solve(&points, 128, steps), &fine);
            let ratio = coarse(25) / coarse(50);
            assert!((8.0..40.0).contains(&ratio), "{ratio}");
        }
    }
}
