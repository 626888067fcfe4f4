//! `run --plan`: a share of a plan's runs.

use std::path::Path;

use super::{cores, interruptible};
use crate::data::Library;
use crate::memory;
use crate::sweep::{Plan, Resources, Shard, run_shard};
use crate::{Error, Result};

/// Makes the runs of a share that the store lacks.
///
/// # Errors
/// Whatever ends the command; when runs failed or were interrupted, how many.
pub(super) fn run(
    path: &Path,
    shard: Shard,
    threads: Option<u16>,
    jobs: Option<u16>,
    datasets: Option<&Path>,
) -> Result<()> {
    let plan = Plan::read(path)?;
    let library = Library::from_env(datasets.or(plan.datasets.as_deref()))?;
    let threads = threads.map_or_else(cores, usize::from);
    let resources = Resources {
        threads,
        jobs: jobs.map_or(threads, usize::from),
        memory: memory::budget(),
    };
    let share = interruptible(|interrupted| {
        run_shard(path, &plan, shard, resources, library, interrupted)
    })?;
    eprintln!(
        "shard {shard}: {} runs, {} stored before, {} made, {} failed; trained {:.3} s of {:.3} s",
        share.runs,
        share.stored,
        share.made,
        share.failed,
        share.trained.as_secs_f64(),
        share.passed.as_secs_f64()
    );
    let done = share.stored + share.made;
    if done + share.failed < share.runs {
        return Err(Error::Interrupted {
            done,
            total: share.runs,
        });
    }
    if share.failed > 0 {
        return Err(Error::RunsFailed {
            failed: share.failed,
            total: share.runs,
        });
    }
    Ok(())
}
