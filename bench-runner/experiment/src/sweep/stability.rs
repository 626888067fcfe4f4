//! Repetitions of runs from starts that differ by rounding only.

use crate::run::RunRecord;
use crate::spec::Experiment;
use crate::store::{PerturbedRuns, StabilitySummary};

/// The experiment whose runs are the repetitions: each optimizer once for each perturbation, with the first
/// seed. `None` where none are asked for.
pub fn perturbed(experiment: &Experiment) -> Option<Experiment> {
    let stability = experiment.stability?;
    let entries = experiment.optimizers.iter();
    let optimizers = entries
        .flat_map(|entry| (1..=stability.perturbations).map(|number| entry.perturbed(number)))
        .collect();
    Some(Experiment {
        name: format!("{}-stability", experiment.name),
        description: format!(
            "The runs of `{}` with the first seed, from starts that differ by rounding only.",
            experiment.name
        ),
        seeds: experiment.seeds[..1].to_vec(),
        stability: None,
        optimizers,
        ..experiment.clone()
    })
}

/// How the repetitions of `experiment` ended, as their `records` tell.
pub fn summarised(experiment: &Experiment, records: &[RunRecord]) -> StabilitySummary {
    let perturbations = experiment.stability.map_or(0, |it| it.perturbations);
    let mut cells = Vec::new();
    for problem in &experiment.problems {
        for entry in experiment.optimizers_for(&problem.label) {
            let loss = |number| {
                let label = entry.perturbed(number).label;
                let record = records.iter().find(|record| {
                    record.cell.problem == problem.label && record.cell.optimizer == label
                })?;
                Some(record.final_loss()).filter(|loss| loss.is_finite())
            };
            cells.push(PerturbedRuns {
                problem: problem.label.clone(),
                optimizer: entry.label.clone(),
                seed: experiment.seeds[0],
                losses: (1..=perturbations).map(loss).collect(),
            });
        }
    }
    StabilitySummary {
        runs: records.len(),
        evaluations: records.iter().map(|run| run.counts.evaluations()).sum(),
        seconds: records.iter().map(|run| run.seconds).sum(),
        cells,
    }
}
