//! How settings were chosen, as it is kept with results.

use serde::{Deserialize, Serialize};

use crate::spec::JudgedBy;

/// How settings were chosen, and what that cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuningSummary {
    /// What trials were judged by.
    pub by: JudgedBy,
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
    /// The numbers among the settings, by their keys, of which the chosen one is the least or the greatest
    /// that was tried: the best may lie beyond.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_edge: Vec<String>,
    /// Every trial's setting and the median over seeds of what it was judged by; `None` where most of its
    /// runs diverged or failed.
    pub trials: Vec<(String, Option<f64>)>,
}

impl Choice {
    /// Whether no trial ended with a loss, so that nothing could be chosen by.
    pub fn is_void(&self) -> bool {
        self.trials.iter().all(|(_, loss)| loss.is_none())
    }
}
