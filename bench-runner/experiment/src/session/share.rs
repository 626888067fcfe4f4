//! A share of a plan's runs, made by one process among many.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bench_data::Library;
use parking_lot::Mutex;

use super::event::{Event, Observer};
use super::options::{Options, unwritable};
use super::work::Session;
use crate::error::{Result, without_backtrace};
use crate::run::{Cell, Checkpoint, Outcome, RunRecord, plan};
use crate::store::{CellStore, Origin};
use crate::sweep::{self, Attempt, Attempts, Demand, Plan, Resources, Shard, execute};

/// What a process made of its share of a plan.
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
}

/// Makes the runs of a share of a plan that the store lacks. A run that fails is written down with its
/// reason and the others go on; one that is interrupted is left to the next process that takes the
/// share.
///
/// # Errors
/// When nothing can be run, or nothing can be kept: then what is left stays to be run.
pub fn share(
    options: Options,
    library: Library,
    path: &Path,
    plan_file: &Plan,
    shard: Shard,
    observe: Observer<'_>,
    interrupted: &AtomicBool,
) -> Result<Share> {
    let experiment = plan_file.experiment(path)?;
    let cells = plan(&experiment);
    let mut runs: Vec<_> = plan_file
        .runs(path, &cells)?
        .into_iter()
        .map(Some)
        .collect();
    let store = CellStore::new(&plan_file.store);
    let mut share = Share {
        runs: shard.of(runs.len()).count(),
        ..Share::default()
    };
    let missing: Vec<Missing<'_>> = shard
        .of(runs.len())
        .filter_map(|index| {
            let (cell, origin) = runs[index].take()?;
            let planned = &plan_file.cells[index];
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
        return Ok(share);
    }
    store.writable().map_err(unwritable)?;
    let log = Log {
        attempts: Attempts::beside(path),
        shard,
        observe,
    };
    let session = Session::open(options, library, observe, interrupted).inspect_err(|error| {
        let reason = without_backtrace(&error.to_string());
        missing.iter().for_each(|run| log.not_started(run, &reason));
    })?;
    let (missing, unfit) = with_right_data(missing, plan_file, &session.environment().library);
    for (run, reason) in &unfit {
        observe(Event::NotStarted(&run.cell.id(), reason));
        log.not_started(run, reason);
    }
    let to_run: Vec<Cell<'_>> = missing.iter().map(|run| run.cell).collect();
    let demands: Vec<Demand> = missing.iter().map(|run| run.demand).collect();
    let unsaved = Mutex::new(None);
    let watch = |index: usize, event: sweep::Event<'_>| {
        let run = &missing[index];
        session.tell(&run.cell.id(), run.demand, event);
        match event {
            sweep::Event::Started => log.started(run),
            sweep::Event::Run(_) => {}
            sweep::Event::Finished(record) => {
                if let Err(error) = log.finished(run, record, &store) {
                    // Nothing more can be kept, so nothing more is worth making.
                    interrupted.store(true, Ordering::Relaxed);
                    unsaved.lock().get_or_insert(unwritable(error));
                }
            }
        }
    };
    let checkpoint = |index: usize| {
        session.options.checkpoint.map(|interval| Checkpoint {
            path: store.checkpoint(missing[index].address),
            interval,
        })
    };
    let jobs = session.options.jobs.unwrap_or(session.options.threads);
    let records = execute(
        &to_run,
        &demands,
        Resources {
            threads: session.options.threads,
            jobs,
            memory: session.options.memory,
        },
        &session.environments,
        &checkpoint,
        &watch,
        interrupted,
    );
    observe(Event::Ended);
    let records: Vec<RunRecord> = records?.into_iter().flatten().collect();
    if let Some(error) = unsaved.into_inner() {
        return Err(error);
    }
    let ended = |end: fn(&Outcome) -> bool| {
        let records = records.iter();
        records.filter(|record| end(&record.outcome)).count()
    };
    share.failed = unfit.len() + ended(|outcome| matches!(outcome, Outcome::Failed { .. }));
    share.made = ended(Outcome::is_final);
    let trained: f64 = records.iter().map(|record| record.seconds).sum();
    share.trained = Duration::from_secs_f64(trained);
    Ok(share)
}

/// Splits off the runs whose data is missing or not that of the plan, with the reason.
fn with_right_data<'m>(
    missing: Vec<Missing<'m>>,
    plan_file: &Plan,
    library: &Library,
) -> (Vec<Missing<'m>>, Vec<(Missing<'m>, String)>) {
    let mut reasons: BTreeMap<String, Option<String>> = BTreeMap::new();
    let (mut fit, mut unfit) = (Vec::new(), Vec::new());
    for run in missing {
        let config = &run.cell.problem.config;
        let reason = config.data().into_iter().find_map(|name| {
            let check = || match config.data_sha256(&name, library) {
                Err(error) => Some(without_backtrace(&error.to_string())),
                Ok(hash) if plan_file.data_sha256.get(&name) == Some(&hash) => None,
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

/// A run of a plan that is to be made.
struct Missing<'a> {
    cell: Cell<'a>,
    origin: Origin,
    address: &'a str,
    demand: Demand,
}

/// Keeps the store and the attempts in step.
struct Log<'a> {
    attempts: Attempts,
    shard: Shard,
    observe: Observer<'a>,
}

impl Log<'_> {
    fn record(&self, run: &Missing<'_>, begun: bool, failure: Option<String>) {
        let attempt = Attempt::now(run.cell.id(), self.shard, begun, failure);
        if let Err(error) = self.attempts.record(run.address, &attempt) {
            (self.observe)(Event::NotLogged(&attempt.cell, &error));
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
