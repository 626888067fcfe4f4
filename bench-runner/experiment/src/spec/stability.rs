//! Stability: how far rounding alone carries the results of equal runs apart.

use serde::{Deserialize, Serialize};

use super::locate::{SpecError, Table};

/// Runs of the first seed are repeated from starts that differ by rounding only. Where these end as far
/// apart as runs of different seeds, a difference between two methods may be rounding, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stability {
    /// Perturbed repetitions of each optimizer on each problem.
    pub perturbations: u64,
}

/// Repetitions, at most.
const MOST_PERTURBATIONS: u64 = 1_000;

impl Stability {
    /// Repetitions, at least: of one there is no spread.
    pub(super) const FEWEST: u64 = 2;

    /// So many perturbations.
    ///
    /// # Errors
    /// In words, when there are none or too many.
    pub fn new(perturbations: u64) -> Result<Self, String> {
        if (Self::FEWEST..=MOST_PERTURBATIONS).contains(&perturbations) {
            return Ok(Self { perturbations });
        }
        Err(format!(
            "{} to {MOST_PERTURBATIONS} perturbations are possible",
            Self::FEWEST
        ))
    }
}

/// Takes the table `stability`.
pub(super) fn parse(root: &mut Table<'_>) -> Result<Option<Stability>, SpecError> {
    let here = root.error_at("stability", "");
    let Some(given) = root.optional::<Stability>("stability")? else {
        return Ok(None);
    };
    let checked = Stability::new(given.perturbations);
    checked.map(Some).map_err(|reason| SpecError {
        message: format!(
            "`stability.perturbations` = {}: {reason}",
            given.perturbations
        ),
        ..here
    })
}
