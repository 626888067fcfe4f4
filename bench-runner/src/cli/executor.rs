//! `ablation --executor plan` and `slurm`: the plan and the batch script, and their submission.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::print;
use crate::spec::{ExecutorConfig, ExecutorKind, Experiment};
use crate::store::Origin;
use crate::sweep::slurm::{self, JobArray, Submitted, Task};
use crate::sweep::{Attempts, Cell, Estimate, Plan, Sweep, TuningSummary};
use crate::{Error, Result};

/// The plan's file, in the report's folder.
pub(super) const PLAN: &str = "plan.json";

/// Tasks, unless the user says how many: enough to keep a small cluster busy, few enough for any
/// scheduler.
const DEFAULT_SHARDS: usize = 100;

/// A sweep that others are to run.
pub(super) struct Distribution<'a> {
    pub experiment: &'a Experiment,
    pub cells: &'a [Cell<'a>],
    /// Of each cell.
    pub origins: &'a [Origin],
    /// Indices of the cells that the store lacks, ascending.
    pub missing: &'a [usize],
    pub estimate: &'a Estimate,
    pub executor: &'a ExecutorConfig,
    pub device: &'a str,
    pub data_sha256: BTreeMap<String, String>,
    pub datasets: Option<&'a Path>,
    pub store: &'a Path,
    /// Where plan, script, logs and report go.
    pub folder: &'a Path,
    /// How the experiment's settings were chosen.
    pub tuning: Option<TuningSummary>,
}

/// Writes the plan and the script, submits them if the executor is Slurm, and says what comes next.
///
/// # Errors
/// When a file cannot be written or the scheduler refuses.
pub(super) fn distribute(sweep: Distribution<'_>, out: &mut impl Write) -> Result<()> {
    let folder = absolute(sweep.folder)?;
    let plan_path = folder.join(PLAN);
    let program = std::env::current_exe().map_err(|error| Error::Input {
        path: "this program's file".into(),
        reason: error.to_string(),
    })?;
    let slurm = sweep.executor.kind() == ExecutorKind::Slurm;
    if slurm {
        refuse_if_at_work(&plan_path)?;
    }
    let shards = sweep
        .executor
        .shards
        .unwrap_or_else(|| DEFAULT_SHARDS.min(sweep.missing.len().max(1)));
    let array = JobArray {
        name: &sweep.experiment.name,
        plan: &plan_path,
        program: &program,
        shards,
        config: sweep.executor,
    };
    if slurm {
        slurm::check(shards)?;
    }
    let (runs, missing, name) = (sweep.cells.len(), sweep.missing.len(), array.name);
    Submitted::forget(&plan_path);
    Attempts::beside(&plan_path).forget_all();
    plan(&sweep, shards)?.write(&plan_path)?;
    array.write()?;

    let shown = plan_path.display();
    let script = array.script_path();
    let mut text = format!(
        "{name}: {missing} of {runs} runs to be made, in {shards} shards\nPlan:   {shown}\nScript: {}\n",
        script.display()
    );
    if slurm {
        let submitted = array.submit()?;
        text += &format!(
            "Submitted as job {}{}\nProgress: bench-runner status {shown}\n",
            submitted.array,
            submitted.report.map_or(String::new(), |job| format!(
                "; job {job} draws the report at its end"
            ))
        );
    } else {
        text += &format!(
            "Each shard:   bench-runner run --plan {shown} --shard I/{shards}, with I from 0 to {}\n\
             Progress:     bench-runner status {shown}\n\
             At the end:   bench-runner report {shown}\n",
            shards - 1
        );
    }
    print(out, &text)
}

/// The plan: missing runs first, the longest first, so that they are dealt evenly.
fn plan(sweep: &Distribution<'_>, shards: usize) -> Result<Plan> {
    let demand = |index: usize| sweep.estimate.demand(&sweep.cells[index]);
    let seconds = |index: usize| demand(index).seconds;
    let mut order = sweep.missing.to_vec();
    order.sort_by(|&a, &b| seconds(b).total_cmp(&seconds(a)).then(a.cmp(&b)));
    let stored = (0..sweep.cells.len()).filter(|index| sweep.missing.binary_search(index).is_err());
    order.extend(stored);
    let cells: Vec<_> = order
        .into_iter()
        .map(|index| {
            (
                sweep.cells[index],
                sweep.origins[index].clone(),
                demand(index),
            )
        })
        .collect();
    Plan::new(Sweep {
        experiment: sweep.experiment,
        cells: &cells,
        device: sweep.device,
        data_sha256: sweep.data_sha256.clone(),
        datasets: sweep.datasets.map(absolute).transpose()?,
        store: absolute(sweep.store)?,
        shards,
        dimensions: sweep.estimate.dimensions(),
        tuning: sweep.tuning.clone(),
    })
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
    std::path::absolute(path).map_err(|error| Error::Input {
        path: path.into(),
        reason: error.to_string(),
    })
}
