//! An experiment: which problems, optimizers, seeds and budgets.

use std::collections::{BTreeMap, BTreeSet};

use bench_data::Catalogue;
use serde::Serialize;

use super::executor::ExecutorConfig;
use super::scale::{Cut, Scale};
use super::stability::Stability;
use super::tuning::{Trial, Tuning};
use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
use crate::problem::ProblemConfig;

/// A validated experiment file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// The name, which is also the report's folder.
    pub name: String,
    /// What the experiment asks.
    pub description: String,
    /// What limits the results' meaning.
    pub caveats: Vec<String>,
    /// The seeds; every optimizer gets the same.
    pub seeds: Vec<u64>,
    /// How settings are chosen, if they are.
    pub tuning: Option<Tuning>,
    /// Whether runs are repeated from perturbed starts, if they are.
    pub stability: Option<Stability>,
    /// What the smaller scales leave of the experiment, where it says so itself.
    #[serde(rename = "scale")]
    pub scales: BTreeMap<Scale, Cut>,
    /// The problems.
    #[serde(rename = "problem")]
    pub problems: Vec<ProblemEntry>,
    /// The optimizers.
    #[serde(rename = "optimizer")]
    pub optimizers: Vec<OptimizerEntry>,
    /// Where the runs are made, if the file says so.
    pub executor: Option<ExecutorConfig>,
}

/// A problem with its budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProblemEntry {
    /// The label, for example `rosenbrock-20d`.
    pub label: String,
    /// The budget of each run, in evaluations.
    pub budget: u64,
    /// Epochs after which a run ends even if budget is left.
    pub epochs: Option<u64>,
    /// Seconds of training after which a run ends even if budget is left; its numbers then depend on
    /// the machine.
    pub seconds: Option<f64>,
    /// The loss that counts as solved.
    pub target: Option<f64>,
    /// Measured points per run, evenly over it.
    pub points: u64,
    /// Further points, so that no cost between two points grows by more than this share: the cost of a hit is known
    /// to it. Runs that are limited by epochs have none.
    pub resolution: f64,
    /// The problem.
    #[serde(flatten)]
    pub config: ProblemConfig,
    /// Keys of `model` that the file leaves out, until their values are [those of the data](Experiment::with_sizes_of_data).
    #[serde(skip)]
    pub left_out: BTreeSet<String>,
}

impl Experiment {
    /// The experiment with the sizes of networks that its file leaves out, such as `inputs` and `classes`, taken from the
    /// data, as far as the catalogue knows them.
    pub fn with_sizes_of_data(mut self, catalogue: &Catalogue) -> Self {
        for problem in &mut self.problems {
            let left_out = std::mem::take(&mut problem.left_out);
            let left_out = |key: &str| left_out.contains(key);
            if let Some(fitted) = problem
                .config
                .with_sizes_of_data(Some(catalogue), &left_out)
            {
                problem.config = fitted;
            }
        }
        self
    }
}

impl ProblemEntry {
    /// Steps in all epochs, if epochs are limited.
    pub fn step_limit(&self, steps_per_epoch: u64) -> Option<u64> {
        Some(self.epochs?.saturating_mul(steps_per_epoch))
    }

    /// Evaluations that a run can make at one a step: of these, settings name shares.
    pub fn first_order_budget(&self, steps_per_epoch: u64) -> u64 {
        let steps = self.step_limit(steps_per_epoch);
        steps.map_or(self.budget, |steps| steps.min(self.budget))
    }
}

/// An optimizer with its label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OptimizerEntry {
    /// The label, for example `fuse-pv/epoch`.
    pub label: String,
    /// The problems that this entry is for; all when empty.
    pub problems: Vec<String>,
    /// Entries with the same stream draw the same start, batch order and noise from a seed, and
    /// those with another one draw their own. 0 is what entries have that name none.
    #[serde(skip_serializing_if = "is_zero")]
    pub stream: u64,
    /// Which perturbation of rounding size its runs start from; 0 is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub perturbation: u64,
    /// The settings to choose from; none where they are given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
    /// The optimizer; the first trial if there are any.
    #[serde(flatten)]
    pub config: OptimizerConfig,
}

fn perturbed_label(label: &str, perturbation: u64) -> String {
    format!("{label}/perturbation={perturbation}")
}

/// Whether a number need not be written down.
pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl OptimizerEntry {
    /// The label, without what a perturbation added to it.
    pub fn own_label(&self) -> &str {
        match self.perturbation {
            0 => &self.label,
            number => {
                let added = perturbed_label("", number);
                self.label.strip_suffix(&added).unwrap_or(&self.label)
            }
        }
    }

    /// The entry whose runs start from a perturbation.
    #[must_use]
    pub fn perturbed(&self, perturbation: u64) -> Self {
        Self {
            label: perturbed_label(&self.label, perturbation),
            perturbation,
            ..self.clone()
        }
    }

    /// Whether it is for a problem.
    pub fn applies_to(&self, problem: &str) -> bool {
        applies(&self.problems, problem)
    }
}

/// The method that an optimizer of this label is a trial of: the label without the parts that a grid of settings added.
pub fn method(label: &str) -> String {
    let own = label.split('/').filter(|part| !part.contains('='));
    own.collect::<Vec<_>>().join("/")
}

/// Whether what is for some problems, all when none is named, is for this one.
pub fn applies(problems: &[String], problem: &str) -> bool {
    problems.is_empty() || problems.iter().any(|label| label == problem)
}

impl Experiment {
    /// The text of an experiment file that says the same, after defaults and grids were filled in.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Unwritable {
            what: format!("the experiment `{}`", self.name),
            source: error.into(),
        })
    }

    /// The optimizer entries that apply to a problem, in order.
    pub fn optimizers_for(&self, problem: &str) -> impl Iterator<Item = &OptimizerEntry> {
        self.optimizers
            .iter()
            .filter(move |entry| entry.applies_to(problem))
    }

    /// The problem with a label.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when there is none.
    pub fn problem(&self, label: &str) -> Result<&ProblemEntry> {
        let labels = || self.problems.iter().map(|entry| &entry.label);
        let found = self.problems.iter().find(|entry| entry.label == label);
        found.ok_or_else(|| Error::unknown("problem", label, labels()))
    }

    /// The optimizer with a label that applies to a problem.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when there is none.
    pub fn optimizer(&self, problem: &str, label: &str) -> Result<&OptimizerEntry> {
        let labels = || self.optimizers_for(problem).map(|entry| &entry.label);
        let mut known = self.optimizers_for(problem);
        let found = known.find(|entry| entry.label == label);
        found.ok_or_else(|| Error::unknown("optimizer", label, labels()))
    }

    /// The optimizers' labels, each once, in order.
    pub fn optimizer_labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for entry in &self.optimizers {
            if !labels.contains(&entry.label.as_str()) {
                labels.push(&entry.label);
            }
        }
        labels
    }
}
