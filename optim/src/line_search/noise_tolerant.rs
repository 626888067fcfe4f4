//! A search that knows how far losses and slopes may be off: it asks for no decrease that noise
//! hides, and looks for curvature over an interval long enough for the slopes to differ by more than
//! noise.
//!
//! Source: Shi, Xie, Byrd & Nocedal, "A Noise-Tolerant Quasi-Newton Algorithm for Unconstrained
//! Optimization", SIAM J. Optim. 32 (2022), arXiv 2010.04352, algorithms 2.1 and 2.2, with the
//! details of the authors' code.

use super::trial::{Conditions, Line, Outcome, Trial};
use crate::error::Result;

/// Bounds on errors along the line, and how the search answers them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels {
    /// Of a loss: ε_f.
    pub(crate) loss: f64,
    /// Of a slope: ε_g·‖d‖.
    pub(crate) slope: f64,
    /// c₃: two slopes differ by more than noise if by (1 + c₃) times the errors of both.
    pub(crate) control: f64,
    /// The shortest interval that is tried for curvature once the first one was too short.
    pub(crate) least_interval: f64,
}

/// A point to go to, and one to take the curvature from.
#[derive(Debug)]
pub(crate) struct Split<G> {
    pub(crate) outcome: Outcome<G>,
    /// Where the slope differs from the start's by more than noise: `best`, or a point beyond.
    pub(crate) curvature: Option<Trial<G>>,
}

/// Points tried for both conditions, before the search for each goes its own way.
const TOGETHER: u32 = 30;
/// Points tried in each of the two searches after that.
const APART: u32 = 20;

/// Searches from `first`, with at most `trials` ≥ 1 trials.
pub(crate) fn noise_tolerant<G: Clone>(
    phi: &mut impl Line<G>,
    start: Trial<G>,
    first: f64,
    conditions: Conditions,
    levels: Levels,
    trials: u64,
) -> Result<Split<G>> {
    let (loss0, slope0) = (start.loss, start.slope);
    // Less than the slope's error promises no decrease at all.
    let promised = if slope0 < -levels.slope { slope0 } else { 0.0 };
    let decreases = |trial: &Trial<G>, relaxed: bool| {
        let errors = if relaxed { 2.0 * levels.loss } else { 0.0 };
        trial.loss <= loss0 + conditions.c1 * trial.t * promised + errors
    };
    let noise = (1.0 + levels.control) * 2.0 * levels.slope;
    let mut left = trials;
    let mut evaluate = |t: f64| -> Result<Option<Trial<G>>> {
        if left == 0 {
            return Ok(None);
        }
        left -= 1;
        phi(t).map(Some)
    };

    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut best: Option<Trial<G>> = None;
    let mut current = evaluate(first)?;
    let mut interval = first;
    for tried in 0..TOGETHER {
        let Some(trial) = current.take() else {
            break;
        };
        // Errors are forgiven from the second point on, so that without need none are.
        if !decreases(&trial, tried > 0) {
            high = trial.t;
            interval = 0.5 * (low + trial.t);
        } else {
            let (t, slope) = (trial.t, trial.slope);
            let reached = (slope - slope0).abs() >= noise && slope >= conditions.c2 * slope0;
            if reached {
                return Ok(Split {
                    curvature: Some(trial.clone()),
                    outcome: Outcome {
                        best: trial,
                        satisfied: true,
                    },
                });
            }
            if best.as_ref().is_none_or(|best| trial.loss < best.loss) {
                best = Some(trial);
            }
            if (slope - slope0).abs() < noise {
                interval = 2.0 * t;
                break;
            }
            low = t;
            interval = if high.is_finite() {
                0.5 * (high + t)
            } else {
                2.0 * t
            };
        }
        current = evaluate(interval)?;
    }

    // Apart, for a point to go to: much shorter steps.
    for _ in 0..APART {
        let Some(trial) = current.take().filter(|_| best.is_none()) else {
            break;
        };
        if decreases(&trial, true) {
            best = Some(trial);
        } else {
            current = evaluate(trial.t / 10.0)?;
        }
    }
    // And for curvature: longer intervals.
    let mut curvature = evaluate(interval.max(levels.least_interval))?;
    for _ in 0..APART {
        match &curvature {
            Some(trial) if trial.is_finite() && trial.slope - slope0 < noise => {
                curvature = evaluate(2.0 * trial.t)?;
            }
            _ => break,
        }
    }
    let curvature = curvature.filter(|trial| trial.is_finite() && trial.slope - slope0 >= noise);
    let satisfied = best.is_some() && curvature.is_some();
    Ok(Split {
        outcome: Outcome {
            best: best.unwrap_or(start),
            satisfied,
        },
        curvature,
    })
}
