//! What a run's numbers depend on, and the address that is made of it.

use std::collections::{BTreeMap, BTreeSet};

use bench_data::sha256;
use serde::{Deserialize, Serialize};

use super::processor::instruction_sets;
use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
#[cfg(doc)]
use crate::problem::Fault;
use crate::problem::ProblemConfig;
use crate::run::{Cell, CellId};
use crate::spec::{OptimizerEntry, ProblemEntry, is_zero};

/// The version of the files in a store.
pub(super) const FORMAT: u32 = 3;

/// SHA-256 of the sources that a run's numbers come from, dependencies and compiler included.
pub const CODE: &str = env!("CODE_SHA256");

/// What an origin says of its problem.
#[derive(Serialize, Deserialize)]
struct Settings {
    config: ProblemConfig,
    budget: u64,
    epochs: Option<u64>,
    seconds: Option<f64>,
    points: u64,
    resolution: f64,
    /// The optimizer's label, where the order of batches depends on it.
    optimizer: Option<String>,
}

/// The files of which [`CODE`] is made, relative to this crate's folder, separated by `;`.
pub const CODE_SOURCES: &str = env!("CODE_SOURCES");

/// All that the numbers of a run depend on. Labels and targets are not in it, since they change what a
/// run is called and how it is judged; but for the optimizer's label where the order of batches
/// depends on it ([`Fault::UnpairedOrder`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    pub(super) format: u32,
    pub(super) code: String,
    device: String,
    instruction_sets: String,
    data_sha256: Vec<String>,
    problem: String,
    optimizer: String,
    seed: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    stream: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    perturbation: u64,
}

impl Origin {
    /// The origin of a cell's run on a device, with the hashes of all datasets. Of a device with a number
    /// (`cuda:0`) only the kind counts; its model does, where it is given (`cuda NVIDIA H200`).
    ///
    /// # Errors
    /// When the settings cannot be written as JSON.
    pub fn new(
        cell: &Cell<'_>,
        device: &str,
        data_sha256: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| Error::Unwritable {
                what: format!("the settings of {}", cell.id()),
                source: error.into(),
            })
        };
        let problem = cell.problem;
        Ok(Self {
            format: FORMAT,
            code: CODE.into(),
            device: device.split(':').next().unwrap_or(device).into(),
            instruction_sets: instruction_sets([&cell.optimizer.config]),
            data_sha256: problem
                .config
                .data()
                .iter()
                .filter_map(|name| data_sha256.get(name).cloned())
                .collect(),
            problem: json(serde_json::to_string(&Settings {
                config: problem.config.clone(),
                budget: problem.budget,
                epochs: problem.epochs,
                seconds: problem.seconds,
                points: problem.points,
                resolution: problem.resolution,
                optimizer: problem
                    .config
                    .depends_on_optimizer()
                    .then(|| cell.optimizer.own_label().to_owned()),
            }))?,
            optimizer: json(serde_json::to_string(&cell.optimizer.config))?,
            seed: cell.seed,
            stream: cell.optimizer.stream,
            perturbation: cell.optimizer.perturbation,
        })
    }

    /// The kind of device: `cpu`, `cuda`, `metal`.
    pub fn device(&self) -> &str {
        self.device.split(' ').next().unwrap_or(&self.device)
    }

    /// The vector instructions of the processor.
    pub fn instruction_sets(&self) -> &str {
        &self.instruction_sets
    }

    /// The hashes of the datasets.
    pub fn data_sha256(&self) -> &[String] {
        &self.data_sha256
    }

    /// The problem and the optimizer, labelled as in a record.
    ///
    /// # Errors
    /// When their settings are of another version's layout.
    pub fn entries(&self, cell: &CellId) -> serde_json::Result<(ProblemEntry, OptimizerEntry)> {
        let settings: Settings = serde_json::from_str(&self.problem)?;
        let problem = ProblemEntry {
            label: cell.problem.clone(),
            budget: settings.budget,
            epochs: settings.epochs,
            seconds: settings.seconds,
            target: None,
            points: settings.points,
            resolution: settings.resolution,
            config: settings.config,
            left_out: BTreeSet::new(),
        };
        let config: OptimizerConfig = serde_json::from_str(&self.optimizer)?;
        let label = settings.optimizer;
        let optimizer = OptimizerEntry {
            label: label.unwrap_or_else(|| cell.optimizer.clone()),
            problems: Vec::new(),
            stream: self.stream,
            perturbation: self.perturbation,
            trials: Vec::new(),
            config,
        };
        Ok((problem, optimizer))
    }

    /// The address: a hash of all fields.
    pub fn address(&self) -> String {
        sha256(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}
