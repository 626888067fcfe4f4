//! `status`: which runs of a plan are pending, running, done and failed, from the store, the attempts
//! and, where it can be asked, Slurm.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use bench_experiment::store::CellStore;
use bench_experiment::sweep::slurm::{Submitted, Task};
use bench_experiment::sweep::{Attempt, Attempts, Plan, PlannedCell};

use super::terminal::print;
use crate::error::Result;

/// Runs that failed or are under way are listed up to this many.
const LISTED: usize = 20;

/// Shows how far a plan is.
///
/// # Errors
/// When the plan cannot be read.
pub fn status(path: &Path, out: &mut impl Write) -> Result<()> {
    let plan = Plan::read(path)?;
    let store = CellStore::new(&plan.store);
    let attempts = Attempts::beside(path).all();
    let submitted = Submitted::read(path);
    let tasks = submitted.and_then(|submitted| submitted.tasks());
    let mut status = Status::default();
    for planned in &plan.cells {
        let stored = store.at(&planned.address).is_some();
        status.add(
            planned,
            stored,
            attempts.get(&planned.address),
            tasks.as_ref(),
        );
    }
    let mut text = format!(
        "{}: {} runs in {} shards, store {}\n{}",
        plan.experiment(path)?.name,
        plan.cells.len(),
        plan.shards,
        plan.store.display(),
        status.table()
    );
    text += &match (submitted, &tasks) {
        (Some(submitted), Some(tasks)) => status.tasks(path, submitted, tasks),
        (Some(submitted), None) => format!(
            "\nSlurm cannot be asked here, or has forgotten job {}: `running` may be out of date.\n",
            submitted.array
        ),
        (None, _) if status.running.is_empty() => String::new(),
        (None, _) => "\nNo job of this plan is known: `running` may be out of date.\n".into(),
    };
    print(out, &text)
}

/// The runs of a plan by how far they are.
#[derive(Debug, Default)]
struct Status {
    pending: usize,
    done: usize,
    running: Vec<String>,
    failed: Vec<String>,
}

impl Status {
    fn add(
        &mut self,
        planned: &PlannedCell,
        stored: bool,
        attempt: Option<&Attempt>,
        tasks: Option<&BTreeMap<usize, Task>>,
    ) {
        // A task that was killed could not take its attempt back.
        let at_work = |attempt: &Attempt| {
            tasks.is_none_or(|tasks| {
                let task = attempt.shard_index().and_then(|index| tasks.get(&index));
                task.is_some_and(Task::runs)
            })
        };
        match attempt {
            _ if stored => self.done += 1,
            Some(Attempt {
                failure: Some(reason),
                ..
            }) => {
                self.failed.push(format!("{}: {reason}", planned.cell));
            }
            Some(attempt) if at_work(attempt) => self.running.push(format!(
                "{}: on {} since {} (shard {})",
                planned.cell, attempt.host, attempt.since, attempt.shard
            )),
            _ => self.pending += 1,
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for (label, count) in [
            ("done", self.done),
            ("running", self.running.len()),
            ("pending", self.pending),
            ("failed", self.failed.len()),
        ] {
            text += &format!("  {label:<8} {count:>7}\n");
        }
        for (title, lines) in [("Running", &self.running), ("Failed", &self.failed)] {
            if lines.is_empty() {
                continue;
            }
            text += &format!("\n{title}\n");
            for line in lines.iter().take(LISTED) {
                text += &format!("  {line}\n");
            }
            if lines.len() > LISTED {
                text += &format!("  … and {} more\n", lines.len() - LISTED);
            }
        }
        text
    }

    /// What Slurm says, and what to do when no task is left for runs that are.
    fn tasks(&self, plan: &Path, submitted: Submitted, tasks: &BTreeMap<usize, Task>) -> String {
        let mut states: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (index, task) in tasks {
            let place = match task.place.as_str() {
                "" | "(None)" => String::new(),
                place => format!(" {place}"),
            };
            let task_name = format!("{index}{place}");
            states.entry(&task.state).or_default().push(task_name);
        }
        let mut text = format!("\nTasks of job {}\n", submitted.array);
        for (state, mut names) in states {
            let count = names.len();
            names.truncate(6);
            let more = if count > names.len() { ", …" } else { "" };
            text += &format!("  {state:<13} {count:>4}: {}{more}\n", names.join(", "));
        }
        let left = self.pending + self.failed.len();
        if left > 0 && !tasks.values().any(|task| task.runs() || task.waits()) {
            text += &format!(
                "\nNo task is left for {left} runs; logs are in {}. To go on, give the same `ablation --executor slurm` \
                 again: what is stored is not run again.\n",
                plan.with_file_name("logs").display()
            );
        }
        text
    }
}
