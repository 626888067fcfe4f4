//! A recorded run, made again: the same bits on a processor with the same vector instructions, within stated
//! tolerances elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::catalogue::Tolerances;
use crate::problem::Environment;
use crate::run::{CurvePoint, Outcome, RunRecord, run};
use crate::spec::{Experiment, OptimizerEntry, ProblemEntry};
use crate::store::{CellStore, Manifest, instruction_sets};
use crate::{Error, Result};

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
        let (problem, optimizer) =
            origin
                .entries(&run.record.cell)
                .map_err(|error| Error::Input {
                    path: store.folder().into(),
                    reason: format!("run {id}: its settings are not this program's: {error}"),
                })?;
        Ok(Self {
            record: run.record.clone(),
            device: origin.device().into(),
            problem,
            optimizer,
            data_sha256: origin.data_sha256().to_vec(),
            same_processor: origin.instruction_sets() == instruction_sets(),
        })
    }

    /// The run of a report's folder whose digest begins with `id`, by its `results.parquet` and
    /// `manifest.json`.
    ///
    /// # Errors
    /// When the report cannot be read, is one of several suites, or not just one run answers to `id`.
    pub fn in_report(folder: &Path, id: &str) -> Result<Self> {
        let results = crate::store::read(&folder.join("results.parquet"))?;
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
            optimizer: optimizer.clone(),
            data_sha256: known.cloned().collect(),
            same_processor: manifest.has_these_instruction_sets(),
            problem,
            record,
        })
    }

    /// Makes the run again.
    ///
    /// # Errors
    /// When its data are missing or others than they were, or the run fails or is interrupted.
    pub fn replay(
        &self,
        environment: &Environment,
        tolerances: &Tolerances,
        interrupted: &AtomicBool,
        observe: &mut dyn FnMut(&CurvePoint),
    ) -> Result<Replayed> {
        let config = &self.problem.config;
        for name in config.data() {
            let hash = config.data_sha256(&name, &environment.library)?;
            if !self.data_sha256.contains(&hash) {
                return Err(Error::Problem {
                    message: format!(
                        "{}: the data of `{name}` have SHA-256 {hash}; the recorded run had others",
                        self.record.cell
                    ),
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
            Outcome::Interrupted => return Err(Error::Interrupted { done: 0, total: 1 }),
            Outcome::Failed { reason } => {
                return Err(Error::Problem {
                    message: format!("{} failed: {reason}", again.cell),
                });
            }
            Outcome::Completed { .. } | Outcome::Diverged { .. } => {}
        }
        Ok(Replayed {
            recorded: self.record.digest(),
            again: again.digest(),
            same_processor: self.same_processor,
            outside: tolerances.outside(&self.record, &again),
        })
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
    let refused = |what: &str| Error::Flag {
        flag: "replay",
        value: id.into(),
        reason: format!("{what} in {} begins with it", place.display()),
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

/// A run made again, beside its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The record's digest.
    pub recorded: String,
    /// The digest of what came out now.
    pub again: String,
    /// Whether the record is of a processor with this one's vector instructions, by which kernels choose.
    pub same_processor: bool,
    /// Last values that are outside their tolerances: column, recorded, now.
    pub outside: Vec<[String; 3]>,
}

impl Replayed {
    /// Whether every bit is the same.
    pub fn is_identical(&self) -> bool {
        self.recorded == self.again
    }

    /// Whether the record is confirmed: by equal bits, or, of another processor, within the tolerances.
    pub fn holds(&self) -> bool {
        self.is_identical() || (!self.same_processor && self.outside.is_empty())
    }

    /// What was found, in words.
    pub fn text(&self) -> String {
        let verdict = match (
            self.is_identical(),
            self.same_processor,
            self.outside.is_empty(),
        ) {
            (true, ..) => "the same, bit for bit, but for times",
            (false, true, true) => {
                "not the same bits, though within the tolerances; the processor has the same vector instructions"
            }
            (false, false, true) => {
                "within the tolerances; the record is of a processor with other vector instructions"
            }
            (false, _, false) => "outside the tolerances",
        };
        let outside = self
            .outside
            .iter()
            .map(|[column, before, after]| format!("  {column}: recorded {before}, now {after}\n"));
        format!(
            "recorded {}\nnow      {}\n{verdict}\n{}",
            self.recorded,
            self.again,
            outside.collect::<String>()
        )
    }
}
