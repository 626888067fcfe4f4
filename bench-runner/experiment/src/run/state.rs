//! What a run has come to.

use optim::Phase;
use serde::{Deserialize, Serialize};

use super::cell::CellId;
use super::record::{Outcome, RunRecord};

/// What a run has come to: all that its course depends on, beside the states of optimizer and problem.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunState {
    pub(super) record: RunRecord,
    /// Steps made.
    pub(super) steps: u64,
    /// Batches taken: more than steps where the optimizer joins some.
    pub(super) batches: u64,
    /// Sample gradients spent, where the objective is a mean over samples.
    pub(super) sample_gradients: Option<u64>,
    /// The evaluations, or steps, at which the next point is measured.
    pub(super) next_point: u64,
    pub(super) last: Option<LastStep>,
}

/// What a measurement tells of the step before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct LastStep {
    pub(super) gradient_norm: f64,
    pub(super) phase: Phase,
    /// What the switch criterion saw before it, and its threshold.
    pub(super) criterion: Option<(f64, f64)>,
}

impl RunState {
    pub(super) fn new(cell: CellId) -> Self {
        Self {
            record: RunRecord::new(cell, Outcome::Interrupted),
            steps: 0,
            batches: 0,
            sample_gradients: None,
            next_point: 0,
            last: None,
        }
    }
}
