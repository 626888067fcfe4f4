//! The stages of an experiment: trials, where settings are chosen, repetitions from perturbed starts, and
//! the comparison.

use crate::run::RunRecord;
use crate::spec::Experiment;
use crate::store::{Choice, StabilitySummary, TuningSummary};
use crate::sweep::{Search, perturbed, summarised};

/// What a sweep is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Settings are chosen by it.
    Trials,
    /// Runs are repeated from perturbed starts, with settings that were chosen in this way, or given.
    Perturbations(Option<TuningSummary>),
    /// Optimizers are compared; what the stages before it have found is told with the results.
    Comparison(Option<TuningSummary>, Option<StabilitySummary>),
}

impl Stage {
    /// Whether the settings were chosen by no loss at all, because all trials failed.
    pub fn is_void(&self) -> bool {
        match self {
            Self::Perturbations(Some(summary)) | Self::Comparison(Some(summary), _) => {
                summary.choices.iter().any(Choice::is_void)
            }
            Self::Perturbations(None) | Self::Comparison(None, _) | Self::Trials => false,
        }
    }

    /// Whether it comes before the comparison, for which its runs are summarised.
    pub fn is_preparation(&self) -> bool {
        !matches!(self, Self::Comparison(..))
    }

    /// How the settings were chosen.
    pub(super) fn tuning(&self) -> Option<TuningSummary> {
        match self {
            Self::Trials => None,
            Self::Perturbations(tuning) | Self::Comparison(tuning, _) => tuning.clone(),
        }
    }

    /// How the repetitions from perturbed starts ended.
    pub(super) fn stability(&self) -> Option<StabilitySummary> {
        match self {
            Self::Trials | Self::Perturbations(_) => None,
            Self::Comparison(_, stability) => stability.clone(),
        }
    }
}

/// Runs an experiment's stages, each by `make`: the trials, if settings are to be chosen, for as many rounds
/// as the search takes, each with the trials of those before it; the repetitions from perturbed starts, if
/// there are to be any; and then the comparison. `make` returns the records by which the next stage goes on,
/// or `None` where it does not go on.
///
/// # Errors
/// As `make`.
pub fn in_stages<E>(
    experiment: &Experiment,
    make: &mut dyn FnMut(&Experiment, Stage) -> Result<Option<Vec<RunRecord>>, E>,
) -> Result<(), E> {
    let chosen = match Search::new(experiment) {
        None => None,
        Some(mut search) => loop {
            let Some(records) = make(&search.trials(), Stage::Trials)? else {
                return Ok(());
            };
            if !search.extend(&records) {
                break Some(search.chosen(&records));
            }
        },
    };
    let (experiment, tuning) = match &chosen {
        None => (experiment, None),
        Some((chosen, tuning)) => (chosen, Some(tuning.clone())),
    };
    let mut stability = None;
    if let Some(repeated) = perturbed(experiment) {
        let Some(records) = make(&repeated, Stage::Perturbations(tuning.clone()))? else {
            return Ok(());
        };
        stability = Some(summarised(experiment, &records));
    }
    make(experiment, Stage::Comparison(tuning, stability))?;
    Ok(())
}
