//! `report`: the report of a plan, from what is in the store.

use std::io::Write;
use std::path::Path;
use std::time::{Instant, SystemTime};

use super::ablation::{ending, writable, write_report};
use crate::Result;
use crate::run::{Outcome, RunRecord};
use crate::store::{CellStore, Circumstances, Manifest};
use crate::sweep::{self, Attempts, Plan};

/// Draws the report of a plan. Runs that failed are in it with their reasons; those that are still to
/// be made are not.
///
/// # Errors
/// When plan, store or report cannot be read or written, or runs failed or are still to be made.
pub(super) fn report(path: &Path, folder: Option<&Path>, out: &mut impl Write) -> Result<()> {
    let started = (SystemTime::now(), Instant::now());
    let plan = Plan::read(path)?;
    let experiment = plan.experiment(path)?;
    let folder = folder.unwrap_or(path.parent().unwrap_or(Path::new(".")));
    writable(folder)?;
    let store = CellStore::new(&plan.store);
    let attempts = Attempts::beside(path).all();
    let mut records: Vec<RunRecord> = plan
        .cells
        .iter()
        .filter_map(|planned| {
            let mut record = match store.at(&planned.address) {
                Some(record) => record,
                None => failed(attempts.get(&planned.address)?.failure.clone()?),
            };
            record.cell = planned.cell.clone();
            Some(record)
        })
        .collect();
    let order: Vec<_> = sweep::plan(&experiment)
        .iter()
        .map(sweep::Cell::id)
        .collect();
    records.sort_by_cached_key(|record| order.iter().position(|cell| *cell == record.cell));
    let mut manifest = Manifest::new(Circumstances {
        experiment: &experiment,
        threads: 1,
        jobs: plan.shards,
        device: &plan.device,
        data_sha256: plan.data_sha256.clone(),
        started: started.0,
    });
    manifest.complete = records.len() == plan.cells.len();
    let results = sweep::results(&experiment, &plan.dimensions, records);
    write_report(folder, &results, manifest, started.1, false, out)?;
    ending(&results.records, plan.cells.len())
}

/// The record of a run that failed before it could leave one.
fn failed(reason: String) -> RunRecord {
    RunRecord {
        cell: crate::run::CellId {
            problem: String::new(),
            optimizer: String::new(),
            seed: 0,
        },
        outcome: Outcome::Failed { reason },
        counts: optim::Counts::default(),
        seconds: 0.0,
        switches: Vec::new(),
        curve: Vec::new(),
    }
}
