//! A sweep: every run of an experiment, several at a time, in an order and with results that do not
//! depend on how many. Beyond one machine, a plan is written down, and its shards run anywhere: by the
//! tasks of a Slurm job array, or by any scheduler that can count.

mod attempt;
mod devices;
mod estimate;
mod plan_file;
mod progress;
mod queue;
mod shard;
pub mod slurm;
mod tuning;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::problem::{Environment, Problem};
use crate::run::{CellId, Checkpoint, Outcome, RunRecord, run};
use crate::spec::{Experiment, OptimizerEntry, ProblemEntry};
use crate::store::{OptimizerInfo, OptimizerVariant, ProblemInfo, Results};
use crate::{Error, Result};

pub use attempt::{Attempt, Attempts};
pub use devices::DeviceSpec;
pub use estimate::{Demand, Estimate};
pub use plan_file::{Plan, PlannedCell, Shard, Sweep};
pub use progress::Progress;
use queue::{Queue, Room};
pub(crate) use shard::store_advice;
pub use shard::{Share, run_shard};
pub use tuning::{Choice, TuningSummary, trials, tuned};

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

/// One planned run.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// The problem.
    pub problem: &'a ProblemEntry,
    /// The optimizer.
    pub optimizer: &'a OptimizerEntry,
    /// The seed.
    pub seed: u64,
}

impl Cell<'_> {
    /// The run's identity.
    pub fn id(&self) -> CellId {
        CellId::new(self.problem, self.optimizer, self.seed)
    }
}

/// All runs of an experiment, in the order of the report.
pub fn plan(experiment: &Experiment) -> Vec<Cell<'_>> {
    let mut cells = Vec::new();
    for problem in &experiment.problems {
        for optimizer in experiment.optimizers_for(&problem.label) {
            for &seed in &experiment.seeds {
                cells.push(Cell {
                    problem,
                    optimizer,
                    seed,
                });
            }
        }
    }
    cells
}

/// What happens to a run of a sweep.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// It begins.
    Started,
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
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads((resources.threads / slots).max(1))
            .build()
            .map_err(|error| Error::Flag {
                flag: "threads",
                value: resources.threads.to_string(),
                reason: error.to_string(),
            })?;
        while let Some((index, room)) = queue.next() {
            if interrupted.load(Ordering::Relaxed) {
                break;
            }
            let cell = &cells[index];
            observe(index, Event::Started);
            let record = match room {
                Room::Taken(_held) => pool.install(|| {
                    run(
                        cell.problem,
                        cell.optimizer,
                        cell.seed,
                        environment,
                        checkpoint(index).as_ref(),
                        interrupted,
                        &mut |_| (),
                    )
                }),
                Room::Lacking(reason) => RunRecord::new(cell.id(), Outcome::Failed { reason }),
            };
            observe(index, Event::Finished(&record));
            lock(&records)[index] = Some(record);
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
    Ok(records.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The result set of an experiment.
pub fn results(experiment: &Experiment, dimensions: &[u64], records: Vec<RunRecord>) -> Results {
    Results {
        suite: experiment.name.clone(),
        description: experiment.description.clone(),
        caveats: experiment.caveats.clone(),
        tuning: None,
        problems: experiment
            .problems
            .iter()
            .zip(dimensions)
            .map(|(entry, &dimension)| ProblemInfo {
                label: entry.label.clone(),
                title: entry.config.title(),
                loss_name: entry.config.loss_name().into(),
                has_accuracy: entry.config.has_accuracy(),
                target: entry.target,
                dimension,
                budget: entry.budget,
                data: entry.config.data(),
                suite: experiment.name.clone(),
                config: entry.config.clone(),
            })
            .collect(),
        optimizers: experiment
            .optimizer_labels()
            .into_iter()
            .map(|label| OptimizerInfo {
                label: label.into(),
                settings: settings(experiment, label),
                variants: experiment
                    .optimizers
                    .iter()
                    .filter(|entry| entry.label == label)
                    .map(|entry| OptimizerVariant {
                        problems: entry.problems.clone(),
                        config: entry.config.clone(),
                    })
                    .collect(),
            })
            .collect(),
        records,
    }
}

/// The settings behind a label; where they differ from problem to problem, all of them.
fn settings(experiment: &Experiment, label: &str) -> String {
    let entries: Vec<&OptimizerEntry> = experiment
        .optimizers
        .iter()
        .filter(|entry| entry.label == label)
        .collect();
    match entries.as_slice() {
        [entry] => entry.config.settings(),
        entries => entries
            .iter()
            .map(|entry| {
                format!(
                    "{}: {}",
                    entry.problems.join(" and "),
                    entry.config.settings()
                )
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// The number of parameters of a problem.
pub(crate) fn dimension(problem: &dyn Problem) -> u64 {
    problem.parameters().element_count() as u64
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
