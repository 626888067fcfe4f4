//! A sweep before it is run, and what came of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use crate::error::Result;
use crate::run::{Cell, CellId, Outcome, RunRecord, plan};
use crate::spec::Experiment;
use crate::store::{CellStore, Circumstances, Manifest, Origin, Results};
use crate::sweep::{Attempts, Estimate, Plan, Resources};

/// The runs of an experiment: those that the store has, and what those that it lacks will take.
#[derive(Debug)]
pub struct Sweep<'e> {
    /// The experiment.
    pub experiment: &'e Experiment,
    /// Its runs, in the order of the report.
    pub cells: Vec<Cell<'e>>,
    /// The origin of each.
    pub origins: Vec<Origin>,
    /// The record of each; `None` of those that are to be made.
    pub records: Vec<Option<RunRecord>>,
    /// Indices of the runs that are to be made, ascending.
    pub missing: Vec<usize>,
    /// What they will take.
    pub estimate: Estimate,
    /// SHA-256 of each dataset.
    pub data_sha256: BTreeMap<String, String>,
    /// How they use the machine.
    pub resources: Resources,
    /// When the session began with it.
    pub started: SystemTime,
}

impl Sweep<'_> {
    /// The runs that are to be made.
    pub fn missing_cells(&self) -> Vec<Cell<'_>> {
        self.missing
            .iter()
            .map(|&index| self.cells[index])
            .collect()
    }

    /// Fills in the runs that failed elsewhere, once no others are missing, and returns how many. They count as
    /// the worst; trying them for ever would keep the comparison, which comes after them, from being made.
    pub(super) fn fill_in_failures(&mut self, attempts: &Attempts) -> usize {
        let reasons = attempts.all();
        let mut failures = Vec::new();
        for &index in &self.missing {
            let attempt = reasons.get(&self.origins[index].address());
            let Some(reason) = attempt
                .filter(|attempt| attempt.begun)
                .and_then(|attempt| attempt.failure.clone())
            else {
                return 0;
            };
            failures.push((index, Outcome::Failed { reason }));
        }
        let failed = failures.len();
        for (index, outcome) in failures {
            self.records[index] = Some(RunRecord::new(self.cells[index].id(), outcome));
        }
        self.missing.clear();
        failed
    }
}

/// What came of a sweep.
#[derive(Debug, Clone)]
pub struct Made {
    /// The results, interrupted runs among them.
    pub results: Results,
    /// How they came about; its wall time is filled in by whoever is done with them.
    pub manifest: Manifest,
    /// Planned runs.
    pub planned: usize,
}

impl Made {
    /// The runs that have ended, one way or another.
    pub fn done(&self) -> usize {
        let records = self.results.records.iter();
        records
            .filter(|record| record.outcome != Outcome::Interrupted)
            .count()
    }

    /// The runs that failed.
    pub fn failed(&self) -> usize {
        let records = self.results.records.iter();
        records
            .filter(|record| matches!(record.outcome, Outcome::Failed { .. }))
            .count()
    }
}

/// What the store has of a plan's runs: those that failed are in it with their reasons, those that are
/// still to be made are not.
///
/// # Errors
/// When the plan holds an experiment that this program refuses.
pub fn collected(path: &Path, plan_file: &Plan, command: Vec<String>) -> Result<Made> {
    let started = SystemTime::now();
    let experiment = plan_file.experiment(path)?;
    let store = CellStore::new(&plan_file.store);
    let attempts = Attempts::beside(path).all();
    let mut records: Vec<RunRecord> = plan_file
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
    let cells = plan(&experiment);
    let order: BTreeMap<CellId, usize> = cells.iter().map(Cell::id).zip(0..).collect();
    records.sort_by_key(|record| order.get(&record.cell));
    let mut manifest = Manifest::new(Circumstances {
        command,
        experiment: &experiment,
        threads: 1,
        jobs: plan_file.shards,
        device: &plan_file.device,
        data_sha256: plan_file.data_sha256.clone(),
        started,
    })?;
    manifest.complete = records.len() == plan_file.cells.len();
    let mut results = Results::new(&experiment, &plan_file.dimensions, records);
    results.tuning = plan_file.tuning.clone();
    results.stability = plan_file.stability.clone();
    Ok(Made {
        results,
        manifest,
        planned: plan_file.cells.len(),
    })
}
