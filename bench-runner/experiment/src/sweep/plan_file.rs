//! The plan of a sweep as a file: what is to be run, and under which addresses the results will be in
//! the store. Whoever has the plan, the store and this program can make any share of the runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bench_data::atomic;
use serde::{Deserialize, Serialize};

use super::demand::Demand;
use crate::error::{Error, Result};
use crate::run::{Cell, CellId};
use crate::spec::Experiment;
use crate::store::{CODE, Origin, StabilitySummary, TuningSummary, instruction_sets};

/// The version of plan files.
const FORMAT: u32 = 1;

/// A sweep, written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    format: u32,
    /// The experiment file as it is to be run, after defaults and grids were filled in.
    experiment: String,
    /// SHA-256 of the sources of the program that made the plan.
    code: String,
    /// Vector features of the processor that made the plan.
    instruction_sets: String,
    /// Where tensors live, as `--device` has it.
    pub device: String,
    /// SHA-256 of each dataset.
    pub data_sha256: BTreeMap<String, String>,
    /// The user's catalogue of datasets.
    pub datasets: Option<PathBuf>,
    /// The store.
    pub store: PathBuf,
    /// Into how many shares the runs are divided, unless whoever runs them decides otherwise.
    pub shards: usize,
    /// The number of parameters of each problem, in the experiment's order.
    pub dimensions: Vec<u64>,
    /// How the experiment's settings were chosen, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<TuningSummary>,
    /// How runs from perturbed starts ended, where there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<StabilitySummary>,
    /// The runs, in the order in which they are dealt to the shards.
    pub cells: Vec<PlannedCell>,
}

/// A run of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedCell {
    /// Which run.
    #[serde(flatten)]
    pub cell: CellId,
    /// The address of its result in the store.
    pub address: String,
    /// What it is expected to take.
    #[serde(flatten)]
    pub demand: Demand,
}

/// What a plan is made of.
pub struct PlanParts<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Its runs, in the order in which they are to be dealt.
    pub cells: &'a [(Cell<'a>, Origin, Demand)],
    /// As [`Plan::device`].
    pub device: &'a str,
    /// As [`Plan::data_sha256`].
    pub data_sha256: BTreeMap<String, String>,
    /// As [`Plan::datasets`].
    pub datasets: Option<PathBuf>,
    /// As [`Plan::store`].
    pub store: PathBuf,
    /// As [`Plan::shards`].
    pub shards: usize,
    /// As [`Plan::dimensions`].
    pub dimensions: Vec<u64>,
    /// As [`Plan::tuning`].
    pub tuning: Option<TuningSummary>,
    /// As [`Plan::stability`].
    pub stability: Option<StabilitySummary>,
}

impl Plan {
    /// The plan of a sweep, to be run by this program's code on processors like this one.
    ///
    /// # Errors
    /// When the experiment cannot be written as TOML.
    pub fn new(parts: PlanParts<'_>) -> Result<Self> {
        let optimizers = parts.experiment.optimizers.iter();
        Ok(Self {
            format: FORMAT,
            experiment: parts.experiment.to_toml()?,
            code: CODE.into(),
            instruction_sets: instruction_sets(optimizers.map(|optimizer| &optimizer.config)),
            device: parts.device.into(),
            data_sha256: parts.data_sha256,
            datasets: parts.datasets,
            store: parts.store,
            shards: parts.shards,
            dimensions: parts.dimensions,
            tuning: parts.tuning,
            stability: parts.stability,
            cells: parts
                .cells
                .iter()
                .map(|(cell, origin, demand)| PlannedCell {
                    cell: cell.id(),
                    address: origin.address(),
                    demand: *demand,
                })
                .collect(),
        })
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// When it cannot be read, or was written by another version.
    pub fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let invalid = |reason: String| Error::Plan {
            path: path.into(),
            reason,
        };
        let version: Version = serde_json::from_slice(&text).map_err(|error| {
            invalid(format!(
                "not a plan: {error}; plans are made by `ablation --executor plan`"
            ))
        })?;
        if version.format != FORMAT {
            return Err(invalid(format!(
                "its format is {}, and this program's {FORMAT}; plan again with this program",
                version.format
            )));
        }
        serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))
    }

    /// Writes the plan; readers see all of it or none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::Unwritable {
            what: path.display().to_string(),
            source: error.into(),
        })?;
        atomic::write(path, &text).map_err(Error::io("write", path))
    }

    /// The experiment.
    ///
    /// # Errors
    /// When the plan holds an experiment that this program refuses; `path` is the plan's.
    pub fn experiment(&self, path: &Path) -> Result<Experiment> {
        Experiment::parse(&self.experiment, path).map_err(|error| Error::Plan {
            path: path.into(),
            reason: format!("its experiment is not valid: {}", error.message),
        })
    }

    /// The planned runs of `cells`, which are those of the plan's experiment, in the plan's order, with
    /// their origins.
    ///
    /// # Errors
    /// When this program or this processor would not make the planned runs, with what differs.
    pub fn runs<'a>(&self, path: &Path, cells: &[Cell<'a>]) -> Result<Vec<(Cell<'a>, Origin)>> {
        let differs = |reason: String| Error::Plan {
            path: path.into(),
            reason,
        };
        if self.code != CODE {
            return Err(differs(
                "it was made by a program of other sources, whose numbers may differ; plan again with this one"
                    .into(),
            ));
        }
        let sets = instruction_sets(cells.iter().map(|cell| &cell.optimizer.config));
        if self.instruction_sets != sets {
            return Err(differs(format!(
                "it was made on a processor with {}, and this one has {}, so that numbers may differ in the last \
                 digits; choose nodes alike (Slurm: --sbatch=--constraint=…), or plan on such a node (srun bench-runner \
                 ablation …)",
                self.instruction_sets, sets
            )));
        }
        let by_id: BTreeMap<CellId, &Cell<'a>> =
            cells.iter().map(|cell| (cell.id(), cell)).collect();
        self.cells
            .iter()
            .map(|planned| {
                let cell = by_id.get(&planned.cell).copied();
                let origin = cell
                    .map(|cell| Origin::new(cell, &self.device, &self.data_sha256))
                    .transpose()?;
                match (cell, origin) {
                    (Some(cell), Some(origin)) if origin.address() == planned.address => {
                        Ok((*cell, origin))
                    }
                    _ => Err(differs(format!(
                        "the address of {} does not follow from the rest of the plan; plan again",
                        planned.cell
                    ))),
                }
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EXPERIMENT: &str = r#"
name = "demo"
seeds = 3
problem = [{ label = "booth", kind = "function", function = "booth", budget = 40 }]
optimizer = [{ kind = "adam" }, { kind = "sgd" }]
"#;

    fn demo() -> (Experiment, Plan) {
        let experiment = Experiment::parse(EXPERIMENT, Path::new("demo.toml")).unwrap();
        let cells: Vec<_> = crate::run::plan(&experiment)
            .into_iter()
            .map(|cell| {
                (
                    cell,
                    Origin::new(&cell, "cpu", &BTreeMap::new()).unwrap(),
                    Demand::default(),
                )
            })
            .collect();
        let plan = Plan::new(PlanParts {
            experiment: &experiment,
            cells: &cells,
            device: "cpu",
            data_sha256: BTreeMap::new(),
            datasets: None,
            store: "store".into(),
            shards: 2,
            dimensions: vec![2],
            tuning: None,
            stability: None,
        })
        .unwrap();
        (experiment.clone(), plan)
    }

    #[test]
    fn a_plan_comes_back_and_is_refused_where_its_numbers_would_differ() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let (experiment, plan) = demo();
        plan.write(&path).unwrap();
        let read = Plan::read(&path).unwrap();
        assert_eq!(read, plan);
        assert_eq!(read.experiment(&path).unwrap(), experiment);
        let cells = crate::run::plan(&experiment);
        assert_eq!(read.runs(&path, &cells).unwrap().len(), 6);

        type Change = fn(&mut Plan);
        let changes: [(&str, Change); 4] = [
            ("other sources", |plan| plan.code = "older".into()),
            ("choose nodes alike", |plan| {
                plan.instruction_sets = "vax".into()
            }),
            ("does not follow", |plan| plan.cells[3].address = "0".into()),
            ("does not follow", |plan| plan.cells[3].cell.seed = 9),
        ];
        for (reason, change) in changes {
            let mut changed = plan.clone();
            change(&mut changed);
            let error = changed.runs(&path, &cells).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(error.contains("plan.json"), "{error}");
        }
    }

    #[test]
    fn foreign_and_newer_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        for (text, reason) in [
            ("{}", "not a plan"),
            ("name = 1", "not a plan"),
            ("{\"format\": 9}", "its format is 9, and this program's 1"),
            ("{\"format\": 1}", "missing field"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Plan::read(&path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
