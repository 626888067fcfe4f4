//! Fair tuning: every optimizer may try the same number of settings, chosen by data that the report does
//! not use.

use serde::{Deserialize, Serialize};

use super::locate::{SpecError, Table};
use crate::optimizer::OptimizerConfig;

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

/// Takes the table `tuning`.
pub(super) fn parse(root: &mut Table<'_>) -> Result<Option<Tuning>, SpecError> {
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
    Ok(Some(Tuning { seeds, validation }))
}

/// The most seeds of an experiment.
pub(super) const MOST_SEEDS: usize = 10_000;

/// Takes `seeds`: a count, or a list of different seeds, in ascending order.
pub(super) fn seeds(root: &mut Table<'_>) -> Result<Vec<u64>, SpecError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seeds {
        Count(u64),
        List(Vec<u64>),
    }
    let here = root.error_at(
        "seeds",
        "`seeds` must be a number of at least 1, or a list of different seeds",
    );
    let too_many = |count: &dyn std::fmt::Display| SpecError {
        message: format!("`seeds`: {count} are too many, at most {MOST_SEEDS} are possible"),
        ..here.clone()
    };
    let mut seeds = match root.required("seeds").map_err(|_| here.clone())? {
        Seeds::Count(count) if count > MOST_SEEDS as u64 => return Err(too_many(&count)),
        Seeds::List(list) if list.len() > MOST_SEEDS => return Err(too_many(&list.len())),
        Seeds::Count(count) => (0..count).collect(),
        Seeds::List(list) => list,
    };
    let count = seeds.len();
    seeds.sort_unstable();
    seeds.dedup();
    if seeds.is_empty() || seeds.len() < count {
        return Err(here);
    }
    Ok(seeds)
}
