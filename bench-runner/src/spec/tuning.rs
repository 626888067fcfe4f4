//! Fair tuning: every optimizer may try the same number of settings, chosen by data that the report does
//! not use.

use serde::Serialize;

use super::locate::{SpecError, Table};
use super::{Experiment, OptimizerConfig, OptimizerEntry, seeds};

/// How settings are chosen: every trial runs with seeds of its own and the problem's budget, and is judged
/// on held-out training data; the best then runs with the experiment's seeds, and is reported on test data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuning {
    /// The seeds of trials, none of them the experiment's.
    pub seeds: Vec<u64>,
    /// The share of the training data that trials are judged on and not trained on.
    pub validation: f64,
}

/// A setting that an optimizer may be given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// What is set, for example `learning_rate=0.01`.
    pub setting: String,
    /// The optimizer with that setting.
    #[serde(flatten)]
    pub config: OptimizerConfig,
}

impl Tuning {
    pub(super) fn parse(root: &mut Table<'_>) -> Result<Option<Self>, SpecError> {
        let Some(mut table) = root.table("tuning")? else {
            return Ok(None);
        };
        let seeds = seeds(&mut table)?;
        let here = table.error_at("validation", "");
        let validation = table.optional("validation")?.unwrap_or(0.1);
        if !(validation > 0.0 && validation < 1.0) {
            return Err(SpecError {
                message: format!("`validation` = {validation}: a share between 0 and 1 is needed"),
                ..here
            });
        }
        table.finish(&["seeds", "validation"])?;
        Ok(Some(Self { seeds, validation }))
    }
}

/// The rules that make a choice of settings fair.
pub(super) fn check(experiment: &Experiment) -> Result<(), String> {
    let searched = |entry: &&OptimizerEntry| !entry.trials.is_empty();
    let Some(tuning) = &experiment.tuning else {
        return match experiment.optimizers.iter().find(searched) {
            Some(entry) => Err(format!(
                "`{}` has a `search`, but there is no [tuning] to choose by",
                entry.label
            )),
            None => Ok(()),
        };
    };
    if let Some(seed) = tuning
        .seeds
        .iter()
        .find(|seed| experiment.seeds.contains(seed))
    {
        return Err(format!(
            "seed {seed} is in `seeds` and in `tuning.seeds`: results would be reported on the seeds that chose them"
        ));
    }
    let mut counts = experiment.optimizers.iter().map(|entry| entry.trials.len());
    let first = counts.next().unwrap_or_default();
    for (entry, count) in experiment.optimizers.iter().skip(1).zip(counts) {
        if count != first {
            return Err(format!(
                "`{}` searches {count} settings and `{}` {first}: with [tuning] every optimizer needs as many",
                entry.label, experiment.optimizers[0].label
            ));
        }
    }
    if first == 0 {
        return Err("[tuning] needs a `search` table in every [[optimizer]]".into());
    }
    Ok(())
}
