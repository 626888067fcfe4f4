//! A sweep that others are to run: its plan and batch script, and their submission.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::attempt::Attempts;
use super::demand::Demand;
use super::plan_file::{Plan, PlanParts};
use super::slurm::{self, JobArray, Submitted, Task};
use crate::error::{Error, Result};
use crate::run::Cell;
use crate::spec::{ExecutorConfig, ExecutorKind, Experiment};
use crate::store::{Origin, StabilitySummary, TuningSummary};

/// The plan's file, in the report's folder.
pub const PLAN: &str = "plan.json";

/// Tasks, unless the user says how many: enough to keep a small cluster busy, few enough for any
/// scheduler.
const DEFAULT_SHARDS: usize = 100;

/// A sweep that others are to run.
pub struct Distribution<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Its runs.
    pub cells: &'a [Cell<'a>],
    /// The origin of each.
    pub origins: &'a [Origin],
    /// What each is expected to take.
    pub demands: &'a [Demand],
    /// Indices of the runs that the store lacks, ascending.
    pub missing: &'a [usize],
    /// The number of parameters of each problem, in the experiment's order.
    pub dimensions: Vec<u64>,
    /// Who makes the runs.
    pub executor: &'a ExecutorConfig,
    /// Where tensors live, as `--device` has it.
    pub device: &'a str,
    /// SHA-256 of each dataset.
    pub data_sha256: BTreeMap<String, String>,
    /// The user's catalogue of datasets.
    pub datasets: Option<&'a Path>,
    /// The store.
    pub store: &'a Path,
    /// Where plan, script, logs and report go.
    pub folder: &'a Path,
    /// How the experiment's settings were chosen.
    pub tuning: Option<TuningSummary>,
    /// How runs from perturbed starts ended.
    pub stability: Option<StabilitySummary>,
}

/// What was written for others to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Distributed {
    /// The plan's file.
    pub plan: PathBuf,
    /// The batch script.
    pub script: PathBuf,
    /// Shares into which the runs are divided.
    pub shards: usize,
    /// The jobs, where the scheduler took them.
    pub submitted: Option<Submitted>,
}

impl Distribution<'_> {
    /// Writes the plan and the script, and submits them if the executor is Slurm.
    ///
    /// # Errors
    /// When a file cannot be written or the scheduler refuses.
    pub fn write(&self) -> Result<Distributed> {
        let plan_path = absolute(self.folder)?.join(PLAN);
        let program = std::env::current_exe().map_err(Error::io("find", "this program's file"))?;
        let slurm = self.executor.kind() == ExecutorKind::Slurm;
        if slurm {
            refuse_if_at_work(&plan_path)?;
        }
        let shards = self
            .executor
            .shards
            .unwrap_or_else(|| DEFAULT_SHARDS.min(self.missing.len().max(1)));
        let array = JobArray {
            name: &self.experiment.name,
            plan: &plan_path,
            program: &program,
            shards,
            config: self.executor,
        };
        if slurm {
            slurm::check(shards)?;
        }
        Submitted::forget(&plan_path);
        Attempts::beside(&plan_path).forget_all();
        self.plan(shards)?.write(&plan_path)?;
        array.write()?;
        Ok(Distributed {
            script: array.script_path(),
            shards,
            submitted: if slurm { Some(array.submit()?) } else { None },
            plan: plan_path,
        })
    }

    /// The plan: missing runs first, the longest first, so that they are dealt evenly.
    fn plan(&self, shards: usize) -> Result<Plan> {
        let seconds = |index: usize| self.demands[index].seconds;
        let mut order = self.missing.to_vec();
        order.sort_by(|&a, &b| seconds(b).total_cmp(&seconds(a)).then(a.cmp(&b)));
        let stored =
            (0..self.cells.len()).filter(|index| self.missing.binary_search(index).is_err());
        order.extend(stored);
        let cells: Vec<_> = order
            .into_iter()
            .map(|index| {
                (
                    self.cells[index],
                    self.origins[index].clone(),
                    self.demands[index],
                )
            })
            .collect();
        Plan::new(PlanParts {
            experiment: self.experiment,
            cells: &cells,
            device: self.device,
            data_sha256: self.data_sha256.clone(),
            datasets: self.datasets.map(absolute).transpose()?,
            store: absolute(self.store)?,
            shards,
            dimensions: self.dimensions.clone(),
            tuning: self.tuning.clone(),
            stability: self.stability.clone(),
        })
    }
}

/// Tasks of an earlier submission would read the new plan half way through.
fn refuse_if_at_work(plan: &Path) -> Result<()> {
    let Some(submitted) = Submitted::read(plan) else {
        return Ok(());
    };
    let at_work = |task: &Task| task.runs() || task.waits();
    if !submitted
        .tasks()
        .is_some_and(|tasks| tasks.values().any(at_work))
    {
        return Ok(());
    }
    Err(Error::Scheduler {
        command: "ablation --executor slurm".into(),
        reason: format!(
            "job {0} is still at work on {1}: wait for it (bench-runner status), or end it with scancel {0}",
            submitted.array,
            plan.display()
        ),
    })
}

/// A path that means the same in every task.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("find", path))
}
