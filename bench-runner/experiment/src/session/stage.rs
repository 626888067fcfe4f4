//! The stages of an experiment: trials, where settings are chosen, and the comparison.

use crate::run::RunRecord;
use crate::spec::Experiment;
use crate::store::{Choice, TuningSummary};
use crate::sweep::{trials, tuned};

/// What a sweep is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Settings are chosen by it.
    Trials,
    /// Optimizers are compared, with settings that were chosen in this way, or given.
    Comparison(Option<TuningSummary>),
}

impl Stage {
    /// Whether the settings were chosen by no loss at all, because all trials failed.
    pub fn is_void(&self) -> bool {
        match self {
            Self::Comparison(Some(summary)) => summary.choices.iter().any(Choice::is_void),
            Self::Comparison(None) | Self::Trials => false,
        }
    }

    pub(super) fn tuning(self) -> Option<TuningSummary> {
        match self {
            Self::Trials => None,
            Self::Comparison(tuning) => tuning,
        }
    }
}

/// Runs an experiment's stages, each by `make`: the trials, if settings are to be chosen, and then the
/// comparison with the chosen ones. `make` returns the records by which the next stage goes on, or `None`
/// where it does not go on.
///
/// # Errors
/// As `make`.
pub fn in_stages<E>(
    experiment: &Experiment,
    make: &mut dyn FnMut(&Experiment, Stage) -> Result<Option<Vec<RunRecord>>, E>,
) -> Result<(), E> {
    let Some(of_trials) = trials(experiment) else {
        make(experiment, Stage::Comparison(None))?;
        return Ok(());
    };
    if let Some(records) = make(&of_trials, Stage::Trials)? {
        let (chosen, summary) = tuned(experiment, &records);
        make(&chosen, Stage::Comparison(Some(summary)))?;
    }
    Ok(())
}
