//! Line searches: given φ(t) = f(x + t·d), choose a step t > 0 along a direction of descent.
//!
//! A search evaluates φ through a closure, so it knows neither parameters nor tensors. It makes at
//! most the number of trials it is given and returns the best point of them, never one whose loss
//! is not finite.

mod armijo;
mod noise_tolerant;
mod strong_wolfe;
mod trial;

use serde::{Deserialize, Serialize};

pub(crate) use armijo::{Backtracking, armijo};
pub(crate) use noise_tolerant::{Levels, noise_tolerant};
pub(crate) use strong_wolfe::strong_wolfe;
pub(crate) use trial::{Conditions, Outcome, Trial};

/// How L-BFGS chooses the step length t along its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LineSearch {
    /// No search: t = `lr`, as `line_search_fn=None` in PyTorch.
    #[serde(alias = "none")]
    Fixed,
    /// Backtracking from t = `lr` until φ(t) ≤ φ(0) + c1·t·φ'(0) (Armijo), by quadratic
    /// interpolation kept within \[0.1 t, 0.5 t\] (Dennis & Schnabel 1983, algorithm A6.3.1).
    Armijo,
    /// Bracketing and zoom with cubic interpolation until also |φ'(t)| ≤ c2·|φ'(0)| (Nocedal &
    /// Wright 2006, algorithms 3.5 and 3.6, with PyTorch's safeguards).
    #[default]
    #[serde(alias = "strong_wolfe")]
    StrongWolfe,
    /// For losses and gradients with errors, whose bounds are a setting ([`Noise`](crate::Noise)):
    /// bisection until φ(t) ≤ φ(0) + c1·t·φ'(0) + 2ε_f, φ'(t) ≥ c2·φ'(0) and the slopes differ by
    /// more than their errors. Where they do not, the curvature pair is taken over a longer interval
    /// than the step (Shi, Xie, Byrd & Nocedal 2022). Without errors it is a search for the weak
    /// Wolfe conditions.
    NoiseTolerant,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const CONDITIONS: Conditions = Conditions { c1: 1e-4, c2: 0.9 };

    /// Runs a search on φ given by value and slope; returns the outcome and the points tried.
    fn run(
        search: LineSearch,
        f: impl Fn(f64) -> (f64, f64),
        first: f64,
        trials: u64,
    ) -> (Outcome<()>, Vec<f64>) {
        let trial = |t: f64| {
            let (loss, slope) = f(t);
            Trial::new(t, loss, slope, ())
        };
        let mut tried = Vec::new();
        let mut phi = |t: f64| {
            tried.push(t);
            Ok(trial(t))
        };
        let outcome = match search {
            LineSearch::Armijo => {
                let (c1, backtracking) = (CONDITIONS.c1, Backtracking::Parabola);
                armijo(&mut phi, trial(0.0), first, c1, backtracking, trials)
            }
            _ => strong_wolfe(
                &mut phi,
                trial(0.0),
                first,
                CONDITIONS,
                |_, _| false,
                trials,
            ),
        };
        (outcome.unwrap(), tried)
    }

    /// A quartic with φ'(0) < 0 that grows at infinity, by its coefficients.
    fn quartic([a, b, c, d]: [f64; 4]) -> impl Fn(f64) -> (f64, f64) {
        move |t| {
            let value = -a * t + b * t.powi(2) + c * t.powi(3) + d * t.powi(4);
            let slope = -a + 2.0 * b * t + 3.0 * c * t.powi(2) + 4.0 * d * t.powi(3);
            (value, slope)
        }
    }

    fn coefficients() -> impl Strategy<Value = [f64; 4]> {
        (0.01..10.0, -2.0..2.0, -2.0..2.0, 0.1..2.0).prop_map(|(a, b, c, d)| [a, b, c, d])
    }

    proptest! {
        #[test]
        fn strong_wolfe_points_satisfy_both_conditions(
            coefficients in coefficients(),
            first in 1e-3..1e2f64,
        ) {
            let (outcome, _) = run(LineSearch::StrongWolfe, quartic(coefficients), first, 60);
            prop_assert!(outcome.satisfied);
            let (t, slope0) = (outcome.best.t, -coefficients[0]);
            prop_assert!(t > 0.0);
            prop_assert!(outcome.best.loss <= CONDITIONS.c1 * t * slope0);
            prop_assert!(outcome.best.slope.abs() <= -CONDITIONS.c2 * slope0);
        }

        #[test]
        fn armijo_points_satisfy_armijos_condition(
            coefficients in coefficients(),
            first in 1e-3..1e2f64,
        ) {
            let (outcome, _) = run(LineSearch::Armijo, quartic(coefficients), first, 60);
            prop_assert!(outcome.satisfied);
            let t = outcome.best.t;
            prop_assert!(t > 0.0 && outcome.best.loss <= -CONDITIONS.c1 * t * coefficients[0]);
        }

        #[test]
        fn trials_are_never_overrun_and_the_best_point_is_kept(
            coefficients in coefficients(),
            first in 1e-3..1e2f64,
            trials in 1..6u64,
            armijo in any::<bool>(),
        ) {
            let search = if armijo { LineSearch::Armijo } else { LineSearch::StrongWolfe };
            let f = quartic(coefficients);
            let (outcome, tried) = run(search, &f, first, trials);
            prop_assert!(tried.len() as u64 <= trials);
            prop_assert!(outcome.best.loss <= 0.0);
        }

        #[test]
        fn a_search_is_satisfied_exactly_if_its_point_meets_the_conditions(
            coefficients in coefficients(),
            first in 1e-3..1e2f64,
            trials in 1..6u64,
            armijo in any::<bool>(),
        ) {
            let search = if armijo { LineSearch::Armijo } else { LineSearch::StrongWolfe };
            let (outcome, _) = run(search, quartic(coefficients), first, trials);
            let (best, slope0) = (outcome.best, -coefficients[0]);
            let decreased = best.loss <= CONDITIONS.c1 * best.t * slope0;
            let flat = armijo || best.slope.abs() <= -CONDITIONS.c2 * slope0;
            prop_assert_eq!(outcome.satisfied, best.t > 0.0 && decreased && flat);
        }

        #[test]
        fn non_finite_points_are_left_behind(wall in 1e-3..1.0f64, bad in 0..3usize) {
            // A parabola with its minimum at half the wall, undefined beyond the wall.
            let f = |t: f64| match t < wall {
                true => (t * t - wall * t, 2.0 * t - wall),
                false => [(f64::NAN, 0.0), (f64::INFINITY, f64::INFINITY), (-1.0, f64::NAN)][bad],
            };
            for search in [LineSearch::StrongWolfe, LineSearch::Armijo] {
                let (outcome, _) = run(search, f, 1.0, 40);
                prop_assert!(outcome.satisfied && outcome.best.t < wall);
            }
        }
    }
}
