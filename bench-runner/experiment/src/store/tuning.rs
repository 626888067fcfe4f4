//! How settings were chosen, as it is kept with results.

use serde::{Deserialize, Serialize};

/// How settings were chosen, and what that cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuningSummary {
    /// Runs of all trials.
    pub runs: usize,
    /// Evaluations of all trials.
    pub evaluations: u64,
    /// Seconds of training of all trials.
    pub seconds: f64,
    /// One choice per problem and optimizer.
    pub choices: Vec<Choice>,
}

impl TuningSummary {
    /// Adds another sweep's trials.
    pub fn add(&mut self, mut other: Self) {
        self.runs += other.runs;
        self.evaluations += other.evaluations;
        self.seconds += other.seconds;
        self.choices.append(&mut other.choices);
    }
}

/// The trials of one optimizer on one problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The problem's label.
    pub problem: String,
    /// The optimizer's label.
    pub optimizer: String,
    /// What was chosen, for example `learning_rate=0.01`.
    pub setting: String,
    /// Every trial's setting and its median final validation loss (the final loss itself where there is no
    /// data to hold out); `None` where most of its runs diverged or failed.
    pub trials: Vec<(String, Option<f64>)>,
}

impl Choice {
    /// Whether no trial ended with a loss, so that nothing could be chosen by.
    pub fn is_void(&self) -> bool {
        self.trials.iter().all(|(_, loss)| loss.is_none())
    }
}
