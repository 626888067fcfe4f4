//! A share of a plan's runs, made by one process among many: what the store lacks is run and kept, and
//! whatever goes wrong is written down beside the plan.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{
    Attempt, Attempts, Cell, Demand, DeviceSpec, Event, Plan, Progress, Resources, Shard, execute,
    lock,
};
use crate::data::Library;
use crate::problem::Environment;
use crate::run::{Checkpoint, Outcome, RunRecord};
use crate::store::{CellStore, Origin};
use crate::{Error, Result};

/// Time between checkpoints of a run, from which another process may go on.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// What a process made of its share.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share {
    /// Runs of the share.
    pub runs: usize,
    /// Of these, in the store before.
    pub stored: usize,
    /// Made and stored now.
    pub made: usize,
    /// Failed now.
    pub failed: usize,
    /// Time spent in training, all runs together.
    pub trained: Duration,
    /// Time from beginning to end.
    pub passed: Duration,
}

/// A run that is to be made.
struct Missing<'a> {
    cell: Cell<'a>,
    origin: Origin,
    address: &'a str,
    demand: Demand,
}

/// Makes the runs of a share that the store lacks. A run that fails is written down with its reason and
/// the others go on; one that is interrupted is left to the next process that takes the share.
///
/// # Errors
/// When nothing can be run, or nothing can be kept: then what is left stays to be run.
pub fn run_shard(
    path: &Path,
    plan: &Plan,
    shard: Shard,
    resources: Resources,
    library: Library,
    interrupted: &AtomicBool,
) -> Result<Share> {
    let started = Instant::now();
    let experiment = plan.experiment(path)?;
    let cells = super::plan(&experiment);
    let mut runs: Vec<_> = plan.runs(path, &cells)?.into_iter().map(Some).collect();
    let store = CellStore::new(&plan.store);
    let mut share = Share {
        runs: shard.of(runs.len()).count(),
        ..Share::default()
    };
    let missing: Vec<Missing<'_>> = shard
        .of(runs.len())
        .filter_map(|index| {
            let (cell, origin) = runs[index].take()?;
            let planned = &plan.cells[index];
            store.load(&origin).is_none().then_some(Missing {
                cell,
                origin,
                address: &planned.address,
                demand: planned.demand,
            })
        })
        .collect();
    share.stored = share.runs - missing.len();
    if missing.is_empty() {
        share.passed = started.elapsed();
        return Ok(share);
    }
    store.writable().map_err(store_advice)?;
    let log = Log {
        attempts: Attempts::beside(path),
        shard,
    };

    let devices = plan
        .device
        .parse()
        .and_then(|devices: DeviceSpec| devices.open())
        .inspect_err(|error| {
            let reason = error.to_string();
            missing.iter().for_each(|run| log.not_started(run, &reason));
        })?;
    let (missing, unfit) = with_right_data(missing, plan, &library);
    for (run, reason) in &unfit {
        eprintln!("{} failed: {reason}", run.cell.id());
        log.not_started(run, reason);
    }
    let library = Arc::new(library);
    let environments: Vec<Environment> = devices
        .into_iter()
        .map(|device| Environment {
            library: Arc::clone(&library),
            device,
        })
        .collect();

    let cells: Vec<Cell<'_>> = missing.iter().map(|run| run.cell).collect();
    let demands: Vec<Demand> = missing.iter().map(|run| run.demand).collect();
    let progress = Progress::new(&demands, false);
    let unsaved = Mutex::new(None);
    let observe = |index: usize, event: Event<'_>| {
        let run = &missing[index];
        match event {
            Event::Started => log.started(run),
            Event::Finished(record) => {
                progress.finished(index, record);
                if let Err(error) = log.finished(run, record, &store) {
                    // Nothing more can be kept, so nothing more is worth making.
                    interrupted.store(true, Ordering::Relaxed);
                    lock(&unsaved).get_or_insert(store_advice(error));
                }
            }
        }
    };
    let checkpoint = |index: usize| {
        Some(Checkpoint {
            path: store.checkpoint(missing[index].address),
            interval: CHECKPOINT_INTERVAL,
        })
    };
    let records = execute(
        &cells,
        &demands,
        resources,
        &environments,
        &checkpoint,
        &observe,
        interrupted,
    );
    progress.done();
    let records = records?;
    if let Some(error) = lock(&unsaved).take() {
        return Err(error);
    }
    let ended = |end: fn(&Outcome) -> bool| {
        let records = records.iter().flatten();
        records.filter(|record| end(&record.outcome)).count()
    };
    share.failed = unfit.len() + ended(|outcome| matches!(outcome, Outcome::Failed { .. }));
    share.made = ended(|outcome| {
        matches!(
            outcome,
            Outcome::Completed { .. } | Outcome::Diverged { .. }
        )
    });
    let trained: f64 = records.iter().flatten().map(|record| record.seconds).sum();
    share.trained = Duration::from_secs_f64(trained);
    share.passed = started.elapsed();
    Ok(share)
}

/// Splits off the runs whose data is missing or not that of the plan, with the reason.
fn with_right_data<'a>(
    missing: Vec<Missing<'a>>,
    plan: &Plan,
    library: &Library,
) -> (Vec<Missing<'a>>, Vec<(Missing<'a>, String)>) {
    let mut reasons: BTreeMap<String, Option<String>> = BTreeMap::new();
    let (mut fit, mut unfit) = (Vec::new(), Vec::new());
    for run in missing {
        let config = &run.cell.problem.config;
        let reason = config.data().into_iter().find_map(|name| {
            let check = || match config.data_sha256(&name, library) {
                Err(error) => Some(error.to_string()),
                Ok(hash) if plan.data_sha256.get(&name) == Some(&hash) => None,
                Ok(_) => Some(format!(
                    "dataset `{name}` is not the one that was planned with: restore it, or plan again"
                )),
            };
            reasons.entry(name.clone()).or_insert_with(check).clone()
        });
        match reason {
            Some(reason) => unfit.push((run, reason)),
            None => fit.push(run),
        }
    }
    (fit, unfit)
}

/// Keeps the store and the attempts in step.
struct Log {
    attempts: Attempts,
    shard: Shard,
}

impl Log {
    fn record(&self, run: &Missing<'_>, begun: bool, failure: Option<String>) {
        let attempt = Attempt::now(run.cell.id(), self.shard, begun, failure);
        if let Err(error) = self.attempts.record(run.address, &attempt) {
            eprintln!("status will not know of {}: {error}", attempt.cell);
        }
    }

    fn started(&self, run: &Missing<'_>) {
        self.record(run, true, None);
    }

    fn not_started(&self, run: &Missing<'_>, reason: &str) {
        self.record(run, false, Some(reason.into()));
    }

    fn finished(&self, run: &Missing<'_>, record: &RunRecord, store: &CellStore) -> Result<()> {
        match &record.outcome {
            Outcome::Failed { reason } => self.record(run, true, Some(reason.clone())),
            _ => {
                let saved = store.save(&run.origin, record);
                self.attempts.forget(run.address);
                saved?;
            }
        }
        Ok(())
    }
}

/// What to do where a store cannot be written to.
pub(crate) fn store_advice(error: Error) -> Error {
    match error {
        Error::Output { path, reason } => Error::Output {
            path,
            reason: format!(
                "{reason}; what is not stored stays to be run: make room or name a writable --store, then \
                 start again"
            ),
        },
        error => error,
    }
}
