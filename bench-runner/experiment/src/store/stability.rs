//! What perturbations of rounding size did, as it is kept with results.

use serde::{Deserialize, Serialize};

/// How far runs came apart that began with the same numbers but for their rounding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StabilitySummary {
    /// Perturbed runs.
    pub runs: usize,
    /// Their evaluations.
    pub evaluations: u64,
    /// Their seconds of training.
    pub seconds: f64,
    /// One entry per problem and optimizer.
    pub cells: Vec<PerturbedRuns>,
}

/// The perturbed runs of one optimizer on one problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerturbedRuns {
    /// The problem's label.
    pub problem: String,
    /// The optimizer's label.
    pub optimizer: String,
    /// The seed whose run they repeat.
    pub seed: u64,
    /// Their final losses, in order of the perturbations' numbers; `None` of those that diverged or failed.
    pub losses: Vec<Option<f64>>,
}

impl StabilitySummary {
    /// Adds another sweep's runs.
    pub fn add(&mut self, mut other: Self) {
        self.runs += other.runs;
        self.evaluations += other.evaluations;
        self.seconds += other.seconds;
        self.cells.append(&mut other.cells);
    }
}
