//! What a session tells while it works.

use std::path::Path;

use super::prepared::Sweep;
use crate::error::Error;
use crate::run::{self, CellId, RunRecord};
use crate::spec::ProblemEntry;
use crate::sweep::Demand;

/// What happens in a session.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A sweep is about to be run.
    Planned(&'a Sweep<'a>),
    /// A run begins.
    Started(&'a CellId),
    /// Something happens in a run.
    Run(&'a CellId, run::Event<'a>),
    /// A run has ended, which was expected to take so much.
    Finished(&'a RunRecord, Demand),
    /// All runs of a sweep have ended, or were stopped.
    Ended,
    /// A run is in the results, but not in the store.
    NotStored(&'a CellId, &'a Error),
    /// A run could not be begun.
    NotStarted(&'a CellId, &'a str),
    /// The status of a plan will not know of a run.
    NotLogged(&'a CellId, &'a Error),
    /// Trials or repetitions failed and count as the worst of all: how many, and the folder whose removal has
    /// them made again.
    PreparationFailed(usize, &'a Path),
    /// A problem of a suite is left out, because its data are missing.
    LeftOut(&'a str, &'a ProblemEntry, &'a Error),
    /// So many runs of a suite, of so many, failed; the others are used.
    SomeFailed(&'a str, usize, usize),
}

/// Who is told; runs happen on several threads.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) + Sync);
