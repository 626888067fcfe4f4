//! Fair tuning: every optimizer may try the same number of settings, chosen by data that the report does
//! not use.

use serde::{Deserialize, Serialize};

use super::locate::{SpecError, Table};
use crate::optimizer::OptimizerConfig;

/// How settings are chosen: every trial runs with seeds of its own and the problem's budget; the best then
/// runs with the experiment's seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuning {
    /// The seeds of trials, none of them the experiment's.
    pub seeds: Vec<u64>,
    /// What trials are judged by.
    pub by: JudgedBy,
    /// The share of the training data that trials are judged on and not trained on, where it is the test
    /// loss that they are judged by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Values that a search may add at either end of the list of a setting, so that the best is not the
    /// last one tried.
    pub extensions: u64,
}

/// What trials are judged by; comparisons must judge by the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JudgedBy {
    /// The final training objective.
    Loss,
    /// The final mean loss on held-out training data, which take the test set's place; the training
    /// objective where there are no data to hold out.
    TestLoss,
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
    let by = table.optional("by")?.unwrap_or(JudgedBy::Loss);
    let here = table.error_at("validation", "");
    let refused = |message: String| {
        Err(SpecError {
            message,
            ..here.clone()
        })
    };
    let validation = match (by, table.optional("validation")?) {
        (JudgedBy::Loss, Some(_)) => {
            return refused(
                "`validation` holds out training data for `by = \"test-loss\"`: give both or neither"
                    .into(),
            );
        }
        (JudgedBy::Loss, None) => None,
        (JudgedBy::TestLoss, share) => Some(share.unwrap_or(0.1)),
    };
    if let Some(share) = validation.filter(|share| !(*share > 0.0 && *share < 1.0)) {
        return refused(format!(
            "`validation` = {share}: a share between 0 and 1 is needed"
        ));
    }
    let here = table.error_at("extensions", "");
    let extensions = table.optional("extensions")?.unwrap_or(4);
    if extensions > MOST_EXTENSIONS {
        return Err(SpecError {
            message: format!("`extensions` = {extensions}: at most {MOST_EXTENSIONS} are possible"),
            ..here
        });
    }
    table.finish(&["seeds", "by", "validation", "extensions"])?;
    Ok(Some(Tuning {
        seeds,
        by,
        validation,
        extensions,
    }))
}

/// Values that may be added at an end of a list, at most.
const MOST_EXTENSIONS: u64 = 20;

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
