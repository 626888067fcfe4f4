//! `report plan.json`: the report of a plan, from what is in the store.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Instant, SystemTime};

use super::ablation::{none_failed, writable, write_report};
use crate::run::{CellId, Outcome, RunRecord};
use crate::store::{CellStore, Circumstances, Manifest};
use crate::sweep::{self, Attempts, Cell, Plan};
use crate::{Error, Result};

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
            let cell = planned.cell.clone();
            match store.at(&planned.address) {
                Some(record) => Some(RunRecord { cell, ..record }),
                None => {
                    let reason = attempts.get(&planned.address)?.failure.clone()?;
                    Some(RunRecord::new(cell, Outcome::Failed { reason }))
                }
            }
        })
        .collect();
    let cells = sweep::plan(&experiment);
    let order: BTreeMap<CellId, usize> = cells.iter().map(Cell::id).zip(0..).collect();
    records.sort_by_key(|record| order.get(&record.cell));
    let mut manifest = Manifest::new(Circumstances {
        experiment: &experiment,
        threads: 1,
        jobs: plan.shards,
        device: &plan.device,
        data_sha256: plan.data_sha256.clone(),
        started: started.0,
    })?;
    manifest.complete = records.len() == plan.cells.len();
    let mut results = sweep::results(&experiment, &plan.dimensions, records);
    results.tuning = plan.tuning.clone();
    write_report(folder, &results, manifest, started.1, false, out)?;
    let (done, total) = (results.records.len(), plan.cells.len());
    if done < total {
        return Err(Error::Unfinished {
            plan: path.into(),
            done,
            total,
        });
    }
    none_failed(&results.records)
}
