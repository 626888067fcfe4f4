//! The session of commands that complete suites through the store, on the CPU, with bars for progress.

use std::path::Path;

use bench_data::Library;
use bench_experiment::session::{Event, Session};

use super::options::options;
use super::progress::Monitor;
use super::terminal::interruptible;
use crate::error::Result;

/// Does `work` in a session on this store.
///
/// # Errors
/// When the store cannot be used, and those of `work`.
pub fn with_session<R>(
    store: &Path,
    threads: Option<u16>,
    library: Library,
    work: impl FnOnce(&Session<'_>) -> Result<R>,
) -> Result<R> {
    let monitor = Monitor::new(false);
    let observe = |event: Event<'_>| monitor.observe(event);
    let session = Session::open(options(store, threads), library, &observe, interruptible())?;
    work(&session)
}
