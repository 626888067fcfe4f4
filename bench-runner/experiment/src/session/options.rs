//! How a session works.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::sweep::DeviceSpec;

/// How a session works.
#[derive(Debug, Clone)]
pub struct Options {
    /// The command line, for the manifest.
    pub command: Vec<String>,
    /// Where tensors live.
    pub device: DeviceSpec,
    /// Threads in all, divided among the runs.
    pub threads: usize,
    /// Runs at the same time; as many as threads by default.
    pub jobs: Option<usize>,
    /// Bytes of memory that runs under way may take together; without, they are not counted.
    pub memory: Option<u64>,
    /// Where runs are kept, so that none is made twice.
    pub store: PathBuf,
    /// The time between checkpoints of a run under way; none are written without.
    pub checkpoint: Option<Duration>,
    /// Whether all runs are made anew, whatever is stored.
    pub fresh: bool,
    /// Whether only a plan is asked for: nothing is fetched, and what would take long is foreseen by the
    /// catalogue and not timed. Runs on data that are not here count as lacking.
    pub plan_only: bool,
}

/// The error of a store that cannot be written to.
pub(super) fn unwritable(error: Error) -> Error {
    Error::Store {
        source: Box::new(error),
    }
}
