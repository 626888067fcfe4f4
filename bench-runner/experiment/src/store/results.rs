//! A result set: what statistics, figures and reports are made from.

use serde::{Deserialize, Serialize};

use super::records::Records;
use super::stability::StabilitySummary;
use super::tuning::TuningSummary;
use crate::optimizer::OptimizerConfig;
use crate::problem::ProblemConfig;
use crate::run::RunRecord;
use crate::spec::{Experiment, OptimizerEntry, applies, method};

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
    /// How runs from perturbed starts ended, where there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<StabilitySummary>,
    /// The problems, in the experiment file's order.
    pub problems: Vec<ProblemInfo>,
    /// The optimizers, in the experiment file's order.
    pub optimizers: Vec<OptimizerInfo>,
    /// The runs, ordered by problem, optimizer and seed.
    pub records: Records,
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
    /// The suite that it was run in: the arm, where the results of several are joined.
    pub suite: String,
    /// Its settings.
    pub config: ProblemConfig,
}

/// What a reader needs to know of an optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerInfo {
    /// The label that runs name it by, for example `fuse-pv/epoch`.
    pub label: String,
    /// Its settings in one line.
    pub settings: String,
    /// Its settings, once for each group of problems on which they differ; none where its runs are imported.
    pub variants: Vec<OptimizerVariant>,
    /// The files that its runs were read from, where another program made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imported: Vec<ImportedFrom>,
}

/// A file of runs that another program made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedFrom {
    /// Its name.
    pub file: String,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// The settings of an optimizer on some problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerVariant {
    /// The labels of the problems that they are for; all when empty.
    pub problems: Vec<String>,
    /// The settings.
    pub config: OptimizerConfig,
}

impl OptimizerInfo {
    /// The settings on a problem.
    pub fn config(&self, problem: &str) -> Option<&OptimizerConfig> {
        self.variants
            .iter()
            .find(|variant| applies(&variant.problems, problem))
            .map(|variant| &variant.config)
    }

    /// Whether another program made its runs, so that nothing of them was counted here.
    pub fn is_imported(&self) -> bool {
        !self.imported.is_empty()
    }

    /// The label without the parts that a grid of settings added to it: the method, of which this
    /// is a trial.
    pub fn method(&self) -> String {
        method(&self.label)
    }
}

impl Results {
    /// The results of an experiment: `dimensions` are the numbers of parameters of its problems, in order.
    pub fn new(experiment: &Experiment, dimensions: &[u64], records: Vec<RunRecord>) -> Self {
        Self {
            suite: experiment.name.clone(),
            description: experiment.description.clone(),
            caveats: experiment.caveats.clone(),
            tuning: None,
            stability: None,
            problems: experiment
                .problems
                .iter()
                .zip(dimensions)
                .map(|(entry, &dimension)| ProblemInfo {
                    label: entry.label.clone(),
                    title: entry.config.title(),
                    loss_name: entry.config.loss_name().into(),
                    has_accuracy: entry.config.has_accuracy(),
                    target: entry.target,
                    dimension,
                    budget: entry.budget,
                    data: entry.config.data(),
                    suite: experiment.name.clone(),
                    config: entry.config.clone(),
                })
                .collect(),
            optimizers: experiment
                .optimizer_labels()
                .into_iter()
                .map(|label| OptimizerInfo {
                    label: label.into(),
                    settings: settings(experiment, label),
                    variants: experiment
                        .optimizers
                        .iter()
                        .filter(|entry| entry.label == label)
                        .map(|entry| OptimizerVariant {
                            problems: entry.problems.clone(),
                            config: entry.config.clone(),
                        })
                        .collect(),
                    imported: Vec::new(),
                })
                .collect(),
            records: records.into(),
        }
    }

    /// The runs on one problem.
    pub fn runs_on(&self, problem: &str) -> impl Iterator<Item = &RunRecord> + use<'_> {
        self.records.on(problem)
    }

    /// The runs of one optimizer on one problem, in order of seeds.
    pub fn runs(
        &self,
        problem: &str,
        optimizer: &str,
    ) -> impl Iterator<Item = &RunRecord> + use<'_> {
        self.records.of(problem, optimizer)
    }

    /// Whether another program made a run of these.
    pub fn is_imported(&self, run: &RunRecord) -> bool {
        let mut imported = self.optimizers.iter().filter(|own| own.is_imported());
        imported.any(|own| own.label == run.cell.optimizer)
    }

    /// The problems and optimizers with these labels, and their runs; all where the list is empty.
    pub fn narrowed(&self, problems: &[String], optimizers: &[String]) -> Self {
        let kept = |list: &[String], label: &String| list.is_empty() || list.contains(label);
        let mut results = self.clone();
        results
            .problems
            .retain(|problem| kept(problems, &problem.label));
        results
            .optimizers
            .retain(|optimizer| kept(optimizers, &optimizer.label));
        results.records.retain(|run| {
            kept(problems, &run.cell.problem) && kept(optimizers, &run.cell.optimizer)
        });
        results
    }

    /// The results of several suites as one set, for side by side reports: problems are renamed to
    /// `suite/label`, and equal labels of optimizers stand for the settings on each suite's problems.
    /// A single set stays as it is.
    pub fn joined(sets: Vec<Self>) -> Option<Self> {
        let mut sets = sets.into_iter();
        let first = sets.next()?;
        let rest: Vec<Self> = sets.collect();
        if rest.is_empty() {
            return Some(first);
        }
        let mut joined = first.renamed();
        for mut set in rest.into_iter().map(Self::renamed) {
            joined.suite = format!("{}+{}", joined.suite, set.suite);
            joined.description = format!("{} {}", joined.description, set.description);
            joined.caveats.append(&mut set.caveats);
            joined.problems.append(&mut set.problems);
            joined.records.append(&mut set.records);
            match (&mut joined.tuning, set.tuning) {
                (Some(tuning), Some(other)) => tuning.add(other),
                (tuning @ None, other) => *tuning = other,
                (Some(_), None) => {}
            }
            match (&mut joined.stability, set.stability) {
                (Some(stability), Some(other)) => stability.add(other),
                (stability @ None, other) => *stability = other,
                (Some(_), None) => {}
            }
            for mut optimizer in set.optimizers {
                let known = joined.optimizers.iter_mut();
                match known
                    .into_iter()
                    .find(|known| known.label == optimizer.label)
                {
                    None => joined.optimizers.push(optimizer),
                    Some(known) => {
                        known.variants.append(&mut optimizer.variants);
                        known.imported.append(&mut optimizer.imported);
                        if known.settings != optimizer.settings {
                            known.settings = format!("{}; {}", known.settings, optimizer.settings);
                        }
                    }
                }
            }
        }
        joined.caveats.dedup();
        Some(joined)
    }

    /// The set with its suite's name before each problem's label.
    fn renamed(mut self) -> Self {
        let name = |label: &str| format!("{}/{label}", self.suite);
        let all: Vec<String> = self
            .problems
            .iter()
            .map(|problem| name(&problem.label))
            .collect();
        for optimizer in &mut self.optimizers {
            for variant in &mut optimizer.variants {
                variant.problems = match variant.problems.as_slice() {
                    [] => all.clone(),
                    own => own.iter().map(|label| name(label)).collect(),
                };
            }
        }
        for choice in self
            .tuning
            .iter_mut()
            .flat_map(|tuning| &mut tuning.choices)
        {
            choice.problem = name(&choice.problem);
        }
        let stability = self.stability.iter_mut();
        for cell in stability.flat_map(|stability| &mut stability.cells) {
            cell.problem = name(&cell.problem);
        }
        for record in &mut self.records {
            record.cell.problem = name(&record.cell.problem);
        }
        for problem in &mut self.problems {
            problem.label = name(&problem.label);
            problem.title = format!("{} ({})", problem.title, self.suite);
        }
        for caveat in &mut self.caveats {
            *caveat = format!("{}: {caveat}", self.suite);
        }
        self
    }
}

/// The settings behind a label; where they differ from problem to problem, all of them.
fn settings(experiment: &Experiment, label: &str) -> String {
    let entries: Vec<&OptimizerEntry> = experiment
        .optimizers
        .iter()
        .filter(|entry| entry.label == label)
        .collect();
    let line = |entry: &OptimizerEntry| match entry.stream {
        0 => entry.config.line(),
        stream => format!("{}, stream = {stream}", entry.config.line()),
    };
    match entries.as_slice() {
        [entry] => line(entry),
        entries => entries
            .iter()
            .map(|entry| format!("{}: {}", entry.problems.join(" and "), line(entry)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}
