//! A result set: what statistics, figures and reports are made from.

use serde::{Deserialize, Serialize};

use crate::run::RunRecord;
use crate::sweep::TuningSummary;

/// All runs of a suite, with what a reader needs to know of its problems and optimizers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// The suite's name.
    pub suite: String,
    /// What the suite asks, in a sentence or two.
    pub description: String,
    /// What limits the results' meaning, such as cut data; shown beside every number.
    pub caveats: Vec<String>,
    /// How settings were chosen, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<TuningSummary>,
    /// The problems, in the experiment file's order.
    pub problems: Vec<ProblemInfo>,
    /// The optimizers, in the experiment file's order.
    pub optimizers: Vec<OptimizerInfo>,
    /// The runs, ordered by problem, optimizer and seed.
    pub records: Vec<RunRecord>,
}

/// What a reader needs to know of a problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemInfo {
    /// The label that runs name it by, for example `rosenbrock-20d`.
    pub label: String,
    /// A title, for example `Rosenbrock function, 20 dimensions`.
    pub title: String,
    /// What the loss is, with its unit, for example `training cross-entropy (nats)`.
    pub loss_name: String,
    /// Whether runs report a test accuracy.
    pub has_accuracy: bool,
    /// The loss that counts as solved, for evaluations to target.
    pub target: Option<f64>,
    /// The number of parameters.
    pub dimension: u64,
    /// The budget of each run, in evaluations.
    pub budget: u64,
    /// The data it uses, by name; empty for functions.
    pub data: Vec<String>,
}

/// What a reader needs to know of an optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerInfo {
    /// The label that runs name it by, for example `fuse-pv/epoch`.
    pub label: String,
    /// Its settings in one line.
    pub settings: String,
}

impl Results {
    /// The runs of one optimizer on one problem, in order of seeds.
    pub fn runs<'a>(
        &'a self,
        problem: &'a str,
        optimizer: &'a str,
    ) -> impl Iterator<Item = &'a RunRecord> {
        self.records.iter().filter(move |record| {
            record.cell.problem == problem && record.cell.optimizer == optimizer
        })
    }
}
