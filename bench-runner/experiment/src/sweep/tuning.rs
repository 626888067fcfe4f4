//! Trials of settings, and the choice among them.

use bench_stats::median_or_infinite;

use crate::run::{Outcome, RunRecord};
use crate::spec::{Experiment, OptimizerEntry};
use crate::store::{Choice, TuningSummary};

/// The experiment whose runs are the trials: labels are `optimizer/setting`, and what is measured in the
/// test set's place is held-out training data. `None` where nothing is tuned.
pub fn trials(experiment: &Experiment) -> Option<Experiment> {
    let tuning = experiment.tuning.as_ref()?;
    let mut trials = experiment.clone();
    trials.name = format!("{}-tuning", experiment.name);
    trials.description = format!(
        "Trials from which the settings of `{}` are chosen, judged on held-out training data.",
        experiment.name
    );
    trials.seeds = tuning.seeds.clone();
    trials.tuning = None;
    for problem in &mut trials.problems {
        if let Some(config) = problem.config.held_out(tuning.validation) {
            problem.config = config;
        }
    }
    trials.optimizers = experiment
        .optimizers
        .iter()
        .flat_map(|entry| {
            entry.trials.iter().map(|trial| OptimizerEntry {
                label: trial_label(&entry.label, &trial.setting),
                problems: entry.problems.clone(),
                trials: Vec::new(),
                config: trial.config.clone(),
            })
        })
        .collect();
    Some(trials)
}

fn trial_label(optimizer: &str, setting: &str) -> String {
    format!("{optimizer}/{setting}")
}

/// The experiment with the settings that did best in the trials' `records`, and how they were chosen.
pub fn tuned(experiment: &Experiment, records: &[RunRecord]) -> (Experiment, TuningSummary) {
    let mut tuned = Experiment {
        tuning: None,
        optimizers: Vec::new(),
        ..experiment.clone()
    };
    let mut choices = Vec::new();
    for entry in &experiment.optimizers {
        for problem in &experiment.problems {
            if !entry.applies_to(&problem.label) {
                continue;
            }
            let losses: Vec<f64> = entry
                .trials
                .iter()
                .map(|trial| {
                    let label = trial_label(&entry.label, &trial.setting);
                    validation_loss(records, &problem.label, &label)
                })
                .collect();
            // The first of equals, so that the order of the search decides.
            let best = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b]));
            let Some(best) = best.and_then(|index| entry.trials.get(index)) else {
                continue;
            };
            choices.push(Choice {
                problem: problem.label.clone(),
                optimizer: entry.label.clone(),
                setting: best.setting.clone(),
                trials: entry
                    .trials
                    .iter()
                    .zip(&losses)
                    .map(|(trial, loss)| {
                        (
                            trial.setting.clone(),
                            Some(*loss).filter(|loss| loss.is_finite()),
                        )
                    })
                    .collect(),
            });
            tuned.optimizers.push(OptimizerEntry {
                label: entry.label.clone(),
                problems: vec![problem.label.clone()],
                trials: Vec::new(),
                config: best.config.clone(),
            });
        }
    }
    let summary = TuningSummary {
        runs: records.len(),
        evaluations: records
            .iter()
            .map(|record| record.counts.evaluations())
            .sum(),
        seconds: records.iter().map(|record| record.seconds).sum(),
        choices,
    };
    (tuned, summary)
}

/// The median over seeds of the final validation loss; a run that did not complete counts as infinite.
fn validation_loss(records: &[RunRecord], problem: &str, optimizer: &str) -> f64 {
    let losses: Vec<f64> = records
        .iter()
        .filter(|record| record.cell.problem == problem && record.cell.optimizer == optimizer)
        .map(|record| match (&record.outcome, record.last()) {
            (Outcome::Completed { .. }, Some(point)) => point.test_loss.unwrap_or(point.loss),
            _ => f64::INFINITY,
        })
        .collect();
    median_or_infinite(&losses)
}
