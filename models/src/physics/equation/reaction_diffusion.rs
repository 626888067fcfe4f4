//! Logistic growth and diffusion together.

use serde::{Deserialize, Serialize};

use super::definition::{Condition, Domain, Equation, Residual};
use super::spectral::{Basis, solve};
use super::terms::{
    ONE, PERIODIC_DOMAIN, ansatz_from, bell, check_finite, check_positive, periodic_from,
};
use crate::error::Result;
use crate::physics::jet::{Ansatz, Jet, Orders, Point};

/// u_t = ν u_xx + ρ u (1 − u) on (0, 2π) × (0, 1), periodic in x, u(x, 0) = h(x) with
/// h(x) = exp(−(x − π)² / (2 (π/4)²)).
///
/// The solution is a spectral one with 256 modes, to 1e-5, from ν = 0.5 on to 1e-6:
/// h has a kink of 3.4e-3 in its slope where the period closes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReactionDiffusion {
    /// ν, at least 0.1; 2 to 5 in Krishnapriyan et al. 2021.
    pub diffusion: f64,
    /// ρ, at most 50; 5 in Krishnapriyan et al. 2021.
    pub rate: f64,
}

impl ReactionDiffusion {
    fn solve(&self, points: &[Point], modes: usize, steps: usize) -> Vec<f64> {
        let [left, right] = PERIODIC_DOMAIN.x;
        let basis = Basis::periodic(left, right - left, modes);
        let growth = |u: f64| self.rate * u * (1.0 - u);
        solve(
            &basis,
            self.diffusion,
            growth,
            |x| bell(x)[0],
            steps,
            points,
        )
    }
}

impl Equation for ReactionDiffusion {
    fn check(&self) -> Result<()> {
        check_positive("diffusion", self.diffusion)?;
        if self.diffusion < 0.1 {
            let expected = "at least 0.1, below which the reference solution is not accurate";
            return Err(crate::Error::setting("diffusion", self.diffusion, expected));
        }
        check_finite("rate", self.rate)?;
        if self.rate.abs() > 50.0 {
            let expected = "-50 to 50, beyond which the reference solution is not accurate";
            return Err(crate::Error::setting("rate", self.rate, expected));
        }
        Ok(())
    }

    fn domain(&self) -> Domain {
        PERIODIC_DOMAIN
    }

    fn orders(&self) -> Orders {
        Orders { x: 2, t: 1 }
    }

    fn residual(&self, _: Point, u: &Jet) -> Residual {
        Residual {
            value: u.t - self.diffusion * u.xx - self.rate * u.u * (1.0 - u.u),
            by: Jet {
                u: -self.rate * (1.0 - 2.0 * u.u),
                xx: -self.diffusion,
                t: 1.0,
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
        Some(self.solve(points, 256, 500))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::reaction::grown;
    use super::*;

    const POINTS: [Point; 4] = [[3.0, 0.0], [0.3, 0.01], [2.0, 0.2], [6.0, 1.0]];

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f64::max)
    }

    #[test]
    fn the_solver_converges() {
        for (diffusion, rate, tolerance) in [(0.1, 5.0, 1e-5), (0.5, 5.0, 1e-6), (5.0, 20.0, 1e-6)]
        {
            let equation = ReactionDiffusion { diffusion, rate };
            let fine = equation.solve(&POINTS, 512, 1000);
            let usual = equation.solution(&POINTS).unwrap();
            let error = distance(&usual, &fine);
            assert!(error < tolerance, "{error}");
            // Fourth order in the step.
            let fine = equation.solve(&POINTS, 64, 1000);
            let coarse = |steps| distance(&equation.solve(&POINTS, 64, steps), &fine);
            let ratio = coarse(20) / coarse(40);
            assert!((8.0..40.0).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn without_diffusion_it_is_the_reaction() {
        let equation = ReactionDiffusion {
            diffusion: 1e-9,
            rate: 5.0,
        };
        // At a node of the method.
        let x = std::f64::consts::TAU * 80.0 / 256.0;
        let solution = equation.solution(&[[x, 1.0]]).unwrap();
        assert!((solution[0] - grown(bell(x)[0], 5.0)).abs() < 1e-5);
    }

    #[test]
    fn without_reaction_the_mean_stays_and_modes_decay() {
        let equation = ReactionDiffusion {
            diffusion: 2.0,
            rate: 0.0,
        };
        let points: Vec<Point> = (0..64)
            .map(|i| [std::f64::consts::TAU * f64::from(i) / 64.0, 1.0])
            .collect();
        let solution = equation.solution(&points).unwrap();
        let mean = solution.iter().sum::<f64>() / 64.0;
        let start = points.iter().map(|p| bell(p[0])[0]).sum::<f64>() / 64.0;
        assert!((mean - start).abs() < 1e-5);
        let mode = |values: &dyn Fn(usize) -> f64| -> f64 {
            (0..64).map(|i| values(i) * points[i][0].cos()).sum()
        };
        let ratio = mode(&|i| solution[i]) / mode(&|i| bell(points[i][0])[0]);
        assert!((ratio / (-2f64).exp() - 1.0).abs() < 1e-4, "{ratio}");
    }
}
