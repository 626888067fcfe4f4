//! Backtracking until the loss decreases enough.

use super::trial::{Line, Outcome, Trial};
use crate::error::Result;

/// How a step that is too long is shortened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backtracking {
    /// To the minimizer of the parabola through what is known, within \[0.1 t, 0.5 t\].
    Parabola,
    /// By a factor below 1.
    Factor(f64),
}

/// Backtracks from `first` until the Armijo condition with the constant `c1` holds, with at most
/// `trials` ≥ 1 trials. Their slopes are not read.
pub(crate) fn armijo<G>(
    phi: &mut impl Line<G>,
    start: Trial<G>,
    first: f64,
    c1: f64,
    backtracking: Backtracking,
    trials: u64,
) -> Result<Outcome<G>> {
    let mut t = first;
    let mut best = start;
    let (loss0, slope0) = (best.loss, best.slope);
    for made in 1..=trials {
        let trial = phi(t)?;
        let satisfied = trial.loss <= loss0 + c1 * t * slope0;
        t = match backtracking {
            // Through φ(0), φ'(0) and φ(t); an infinite φ(t) gives 0.
            Backtracking::Parabola => {
                let parabola = -0.5 * slope0 * t * t / (trial.loss - loss0 - slope0 * t);
                parabola.clamp(0.1 * t, 0.5 * t)
            }
            Backtracking::Factor(factor) => factor * t,
        };
        if satisfied || trial.loss < best.loss {
            best = trial;
        }
        if satisfied || made == trials {
            return Ok(Outcome { best, satisfied });
        }
    }
    Ok(Outcome {
        best,
        satisfied: false,
    })
}
