//! The runs of a sweep, several at a time, in an order and with results that do not depend on how many.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::demand::Demand;
use super::devices;
use super::queue::{Queue, Turn};
use crate::error::{Error, Result};
use crate::problem::Environment;
use crate::run::{self, Cell, Checkpoint, Outcome, RunRecord, run};

/// How a sweep uses the machine.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Threads in all, divided among the runs.
    pub threads: usize,
    /// Runs at the same time.
    pub jobs: usize,
    /// Bytes of memory that runs under way may take together; without, they are not counted.
    pub memory: Option<u64>,
}

/// What happens to a run of a sweep.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// It begins.
    Started,
    /// Something happens in it.
    Run(run::Event<'a>),
    /// It has ended.
    Finished(&'a RunRecord),
}

/// Runs `cells`, those first that are expected to take the longest, and returns the records in
/// the order of `cells`, those that were not started as `None`. Runs are spread over `environments`,
/// one at a time in each that is not a CPU. A run waits while memory for it is lacking, and fails if all
/// there is would not do; `checkpoint` says where each keeps its state while it is under
/// way. What happens goes to `observe` with the cell's index, on
/// the thread that does it. When `interrupted` becomes true, runs under way stop at their next step,
/// and the rest is not started.
///
/// # Errors
/// When a thread pool cannot be made. Runs that fail are recorded as such.
pub fn execute(
    cells: &[Cell<'_>],
    demands: &[Demand],
    resources: Resources,
    environments: &[Environment],
    checkpoint: &(dyn Fn(usize) -> Option<Checkpoint> + Sync),
    observe: &(dyn Fn(usize, Event<'_>) + Sync),
    interrupted: &AtomicBool,
) -> Result<Vec<Option<RunRecord>>> {
    let queue = Queue::new(demands, resources.memory);
    let records: Mutex<Vec<Option<RunRecord>>> = Mutex::new(vec![None; cells.len()]);
    let cpu = environments
        .iter()
        .all(|environment| environment.device.is_cpu());
    let slots = devices::slots(resources.jobs, environments.len(), cpu, cells.len());
    let work = |slot: usize| -> Result<()> {
        let environment = &environments[slot % environments.len()];
        let pool = threads(resources.threads / slots)?;
        while let Some((index, turn)) = queue.next() {
            if interrupted.load(Ordering::Relaxed) {
                break;
            }
            let cell = &cells[index];
            observe(index, Event::Started);
            let record = match turn {
                Turn::Now(_held) => pool.install(|| {
                    run(
                        cell.problem,
                        cell.optimizer,
                        cell.seed,
                        environment,
                        checkpoint(index).as_ref(),
                        interrupted,
                        &mut |event| observe(index, Event::Run(event)),
                    )
                }),
                Turn::Never(reason) => RunRecord::new(cell.id(), Outcome::Failed { reason }),
            };
            observe(index, Event::Finished(&record));
            records.lock()[index] = Some(record);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (1..slots)
            .map(|slot| scope.spawn(move || work(slot)))
            .collect();
        let mine = work(0);
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .fold(mine, Result::and)
    })?;
    Ok(records.into_inner())
}

/// A pool of threads for a run; of one where there are fewer.
///
/// # Errors
/// When the system refuses.
pub(super) fn threads(count: usize) -> Result<rayon::ThreadPool> {
    let threads = count.max(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build()
        .map_err(|source| Error::Threads { threads, source })
}
