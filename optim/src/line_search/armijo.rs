//! Backtracking until the loss decreases enough.

use super::trial::{Conditions, Line, Outcome, Trial};
use crate::error::Result;

/// Backtracks from `first`, with at most `trials` ≥ 1 trials.
pub(crate) fn armijo<G>(
    phi: &mut impl Line<G>,
    start: Trial<G>,
    first: f64,
    conditions: Conditions,
    trials: u64,
) -> Result<Outcome<G>> {
    let mut t = first;
    let mut best = start;
    let (loss0, slope0) = (best.loss, best.slope);
    for made in 1..=trials {
        let trial = phi(t)?;
        let satisfied = trial.loss <= loss0 + conditions.c1 * t * slope0;
        // The minimizer of the parabola through φ(0), φ'(0) and φ(t); an infinite φ(t) gives 0.
        let parabola = -0.5 * slope0 * t * t / (trial.loss - loss0 - slope0 * t);
        t = parabola.clamp(0.1 * t, 0.5 * t);
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
