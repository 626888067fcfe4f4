//! The options that several commands make a session of.

use std::path::Path;
use std::time::Duration;

use bench_experiment::memory;
use bench_experiment::session::Options;
use bench_experiment::spec::Stability;
use bench_experiment::sweep::DeviceSpec;

use super::terminal::cores;
use crate::error::{Error, Result};

/// The most threads, and runs at the same time, that can be asked for.
pub const MOST_THREADS: i64 = 1024;

/// The time between two checkpoints of a run, unless the user says otherwise.
pub const CHECKPOINT_SECONDS: u64 = 60;

/// A session on the CPU with the usual settings.
pub fn options(store: &Path, threads: Option<u16>) -> Options {
    Options {
        command: std::env::args().collect(),
        device: DeviceSpec::cpu(),
        threads: threads.map_or_else(cores, usize::from),
        jobs: None,
        memory: memory::budget(),
        store: store.into(),
        checkpoint: Some(Duration::from_secs(CHECKPOINT_SECONDS)),
        fresh: false,
        plan_only: false,
    }
}

/// The repetitions that the user asks for with `--perturbations`.
///
/// # Errors
/// When so many are not possible.
pub fn perturbations(count: u64) -> Result<Stability> {
    Stability::new(count).map_err(|reason| Error::Flag {
        flag: "perturbations".into(),
        value: count.to_string(),
        reason,
    })
}
