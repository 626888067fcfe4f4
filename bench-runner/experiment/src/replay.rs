//! A recorded run, made again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};
use crate::problem::Environment;
use crate::run::{Event, Outcome, RunRecord, run};
use crate::spec::{Experiment, OptimizerEntry, ProblemEntry};
use crate::store::{self, CellStore, Manifest, instruction_sets};

/// A run that was kept, with all that it takes to make it again.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What came out.
    pub record: RunRecord,
    /// The device that it ran on: `cpu`, `cuda:0`, …
    pub device: String,
    problem: ProblemEntry,
    optimizer: OptimizerEntry,
    data_sha256: Vec<String>,
    same_processor: bool,
}

impl Recorded {
    /// The run of a store whose address, or whose record's digest, begins with `id`.
    ///
    /// # Errors
    /// When the store cannot be read, or not just one run answers to `id`.
    pub fn in_store(store: &CellStore, id: &str) -> Result<Self> {
        let (runs, _) = store.runs()?;
        let matching = runs
            .iter()
            .map(|(address, run)| ([address.clone(), run.record.digest()], run));
        let run = one(id, matching, store.folder())?;
        let origin = &run.origin;
        let (problem, optimizer) = origin.entries(&run.record.cell).map_err(|error| {
            Error::damaged(store.folder())(format!(
                "run {id}: its settings are not this program's: {error}"
            ))
        })?;
        Ok(Self {
            record: run.record.clone(),
            device: origin.device().into(),
            same_processor: origin.instruction_sets() == instruction_sets([&optimizer.config]),
            problem,
            optimizer,
            data_sha256: origin.data_sha256().to_vec(),
        })
    }

    /// The run of a report's folder whose digest begins with `id`, by its `results.parquet` and
    /// `manifest.json`.
    ///
    /// # Errors
    /// When the report cannot be read, is one of several suites, or not just one run answers to `id`.
    pub fn in_report(folder: &Path, id: &str) -> Result<Self> {
        let results = store::read(&folder.join("results.parquet"))?;
        let path = folder.join("manifest.json");
        let manifest = Manifest::read(&path)?;
        let experiment = Experiment::parse(&manifest.experiment, &path)?;
        let matching = results.records.iter().map(|run| ([run.digest()], run));
        let record = one(id, matching, folder)?.clone();
        let problem = experiment.problem(&record.cell.problem)?.clone();
        let optimizer = experiment.optimizer(&problem.label, &record.cell.optimizer)?;
        let names = problem.config.data();
        let known = names
            .iter()
            .filter_map(|name| manifest.data_sha256.get(name));
        Ok(Self {
            device: manifest.device.clone(),
            same_processor: manifest.has_numbers_of_this_processor([&optimizer.config]),
            optimizer: optimizer.clone(),
            data_sha256: known.cloned().collect(),
            problem,
            record,
        })
    }

    /// Whether the record is of a processor with this one's numbers.
    pub fn same_processor(&self) -> bool {
        self.same_processor
    }

    /// Makes the run again, and returns its record.
    ///
    /// # Errors
    /// When its data are missing or others than they were, or the run fails or is interrupted.
    pub fn replay(
        &self,
        environment: &Environment,
        interrupted: &AtomicBool,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<RunRecord> {
        let config = &self.problem.config;
        for name in config.data() {
            let sha256 = config.data_sha256(&name, &environment.library)?;
            if !self.data_sha256.contains(&sha256) {
                return Err(Error::OtherData {
                    run: self.record.cell.to_string(),
                    name,
                    sha256,
                });
            }
        }
        let seed = self.record.cell.seed;
        let again = run(
            &self.problem,
            &self.optimizer,
            seed,
            environment,
            None,
            interrupted,
            observe,
        );
        match &again.outcome {
            Outcome::Interrupted => Err(Error::Interrupted { done: 0, total: 1 }),
            Outcome::Failed { reason } => Err(Error::RunFailed {
                run: again.cell.to_string(),
                reason: reason.clone(),
            }),
            Outcome::Completed { .. } | Outcome::Diverged { .. } => Ok(again),
        }
    }
}

/// The one thing of which a name begins with `id`; things with the same such name count as one.
fn one<'a, T, const N: usize>(
    id: &str,
    named: impl Iterator<Item = ([String; N], &'a T)>,
    place: &Path,
) -> Result<&'a T> {
    let mut found: BTreeMap<String, &T> = BTreeMap::new();
    for (names, thing) in named {
        let name = names.into_iter().find(|name| name.starts_with(id));
        found.extend(name.map(|name| (name, thing)));
    }
    let refused = |found| Error::NotOneRun {
        id: id.into(),
        found,
        place: place.into(),
    };
    let mut found = found.into_values();
    match (found.next(), found.next()) {
        (Some(thing), None) => Ok(thing),
        (None, _) => Err(refused(
            "no run's address (`store list`) or digest (`runs.csv`)",
        )),
        (Some(_), Some(_)) => Err(refused("more than one run's address or digest")),
    }
}
