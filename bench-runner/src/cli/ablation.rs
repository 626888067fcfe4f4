//! `ablation`: what the store lacks is run, then everything is reported.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use bench_data::Library;
use bench_experiment::run::Cell;
use bench_experiment::session::{Made, Options, Session, Stage, Sweep, in_stages};
use bench_experiment::spec::{ExecutorConfig, ExecutorKind, Experiment};
use bench_experiment::sweep::{Distributed, slurm};
use clap::Parser;
use indicatif::HumanBytes;

use super::complete;
use super::executor::ExecutorFlags;
use super::local::{Counts, Local, is_reported, stage_folder};
use super::progress::{Monitor, announcement};
use super::publish::{publish, writable};
use super::terminal::{interruptible, open, print};
use crate::error::{Error, Result};

#[derive(Debug, Parser)]
pub struct Ablation {
    /// A built-in suite's name or an experiment file
    #[arg(default_value = "quick", value_name = "SUITE|FILE.toml", add = complete::experiments())]
    experiment: String,
    #[command(flatten)]
    pub local: Local,
    /// Print the plan and its cost, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Open the report in the browser
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    executor: ExecutorFlags,
}

/// Runs what the store lacks, or has others run it, and writes the report. Where settings are chosen,
/// their trials come first, with a report of their own in the folder `tuning`; repetitions from perturbed
/// starts follow.
///
/// # Errors
/// Whatever ends the command.
pub fn ablation(
    options: &Ablation,
    datasets: Option<&Path>,
    library: Library,
    out: &mut impl Write,
) -> Result<()> {
    let local = &options.local;
    let experiment = local.experiment(&options.experiment, library.catalogue())?;
    let executor = executor(options, &experiment)?;
    let session = Options {
        plan_only: options.dry_run,
        ..local.session()?
    };
    let folder = local.folder(&experiment);
    let monitor = Monitor::new(local.quiet);
    let observe = |event: bench_experiment::session::Event<'_>| monitor.observe(event);
    let interrupted = interruptible();
    if executor.kind() == ExecutorKind::Local {
        let session = Session::open(session, library, &observe, interrupted)?;
        if options.dry_run {
            return dry_run(&session, &experiment, &folder, false, out);
        }
        writable(&folder)?;
        return local.complete(
            &session,
            &experiment,
            &folder,
            out,
            &|folder| match options.open {
                true => open(&folder.join("index.html")),
                false => Ok(()),
            },
        );
    }
    if executor.kind() == ExecutorKind::Slurm {
        slurm::check(executor.shards.unwrap_or(1))?;
    }
    let session = Session::planning(session, library, &observe, interrupted);
    if options.dry_run {
        return dry_run(&session, &experiment, &folder, true, out);
    }
    let elsewhere = Elsewhere {
        session: &session,
        executor: &executor,
        datasets,
        folder: &folder,
        replace: local.replace,
        quiet: local.quiet,
    };
    elsewhere.distribute(&experiment, out)
}

/// Prints what would be run.
fn dry_run(
    session: &Session<'_>,
    experiment: &Experiment,
    folder: &Path,
    elsewhere: bool,
    out: &mut impl Write,
) -> Result<()> {
    in_stages(experiment, &mut |experiment, stage| -> Result<_> {
        let sweep = match elsewhere {
            true => {
                session.prepare_distributed(experiment, &stage, &stage_folder(folder, &stage))?
            }
            false => session.prepare(experiment)?,
        };
        print(
            out,
            &(plan_table(&sweep) + &absent_data(&sweep) + &announcement(&sweep)),
        )?;
        if stage == Stage::Trials {
            print(out, "Then, with the chosen settings:\n")?;
        }
        // Where trials are still to be made, any settings will do: what is chosen costs as much.
        Ok(Some(sweep.records.into_iter().flatten().collect()))
    })
}

/// Runs that others make.
struct Elsewhere<'a> {
    session: &'a Session<'a>,
    executor: &'a ExecutorConfig,
    datasets: Option<&'a Path>,
    folder: &'a Path,
    replace: bool,
    quiet: bool,
}

impl Elsewhere<'_> {
    /// Plans the first stage that lacks runs, and reports those that do not.
    fn distribute(&self, experiment: &Experiment, out: &mut impl Write) -> Result<()> {
        let mut counts = Counts::default();
        in_stages(experiment, &mut |experiment, stage| -> Result<_> {
            let folder = stage_folder(self.folder, &stage);
            writable(&folder)?;
            let started = Instant::now();
            if stage.is_void() {
                counts.none_failed()?;
            }
            let sweep = self
                .session
                .prepare_distributed(experiment, &stage, &folder)?;
            if sweep.missing.is_empty() {
                let reported = is_reported(&stage);
                let made: Made = self.session.run(sweep, stage)?;
                let records = made.results.records.to_vec();
                counts.take_note(&folder, &made);
                if reported {
                    publish(&folder, made, started, self.replace, self.quiet, out)?;
                }
                return Ok(Some(records));
            }
            let then = match stage {
                Stage::Trials => {
                    "These are trials. When they are done, give the same command again: it chooses the settings, \
                     or plans further trials, and then the runs that compare them.\n"
                }
                Stage::Perturbations(_) => {
                    "These are repetitions. When they are done, give the same command again: it plans the runs \
                     that are compared.\n"
                }
                Stage::Comparison(..) => "",
            };
            let runs = (sweep.missing.len(), sweep.cells.len());
            let written =
                self.session
                    .distribute(&sweep, stage, self.executor, self.datasets, &folder)?;
            print(out, &next_steps(&experiment.name, runs, &written))?;
            print(out, then)?;
            Ok(None)
        })?;
        counts.none_failed()
    }
}

/// What was written, and what comes next.
fn next_steps(name: &str, (missing, runs): (usize, usize), written: &Distributed) -> String {
    let (plan, shards) = (written.plan.display(), written.shards);
    let head = format!(
        "{name}: {missing} of {runs} runs to be made, in {shards} shards\nPlan:   {plan}\nScript: {}\n",
        written.script.display()
    );
    let tail = match &written.submitted {
        Some(submitted) => format!(
            "Submitted as job {}{}\nProgress: bench-runner status {plan}\n",
            submitted.array,
            submitted.report.map_or(String::new(), |job| format!(
                "; job {job} draws the report at its end"
            ))
        ),
        None => format!(
            "Each shard:   bench-runner run --plan {plan} --shard I/{shards}, with I from 0 to {}\n\
             Progress:     bench-runner status {plan}\n\
             At the end:   bench-runner report {plan}\n",
            shards - 1
        ),
    };
    head + &tail
}

/// The executor's settings, from the flags and the experiment file.
fn executor(options: &Ablation, experiment: &Experiment) -> Result<ExecutorConfig> {
    let executor = options.executor.config().or(experiment.executor.as_ref());
    executor.check().map_err(Error::flag)?;
    let refused = |flag: &str, value: String, reason: &str| {
        Err(Error::Flag {
            flag: flag.into(),
            value,
            reason: reason.into(),
        })
    };
    match (options.local.threads, options.local.jobs) {
        _ if executor.kind() == ExecutorKind::Local => Ok(executor),
        (Some(count), _) => refused(
            "threads",
            count.to_string(),
            "is for runs in this process; tasks have --cpus-per-task",
        ),
        (_, Some(count)) => refused(
            "jobs",
            count.to_string(),
            "is for runs in this process; tasks are limited by --array-limit",
        ),
        _ if options.local.fresh => refused(
            "fresh",
            String::new(),
            "is for runs in this process; to have all runs made anew, name an empty --store",
        ),
        _ => Ok(executor),
    }
}

/// What is to be run, a line for all seeds or all perturbed starts of an optimizer on a problem.
fn plan_table(sweep: &Sweep<'_>) -> String {
    let estimate = &sweep.estimate;
    let cells = sweep.missing_cells();
    // They follow each other in a plan.
    let same = |a: &Cell<'_>, b: &Cell<'_>| {
        a.problem.label == b.problem.label && a.optimizer.own_label() == b.optimizer.own_label()
    };
    let widest = |length: fn(&Cell<'_>) -> usize| cells.iter().map(length).max();
    let problems = widest(|cell| cell.problem.label.chars().count()).unwrap_or_default();
    let optimizers = widest(|cell| cell.optimizer.own_label().chars().count()).unwrap_or_default();
    let rows = cells.chunk_by(same).map(|runs| {
        let bytes = runs.iter().map(|cell| estimate.demand(cell).bytes).max();
        format!(
            "  {:<problems$}  {:<optimizers$}  {:>4} {} {:>9} evaluations {:>9.2} s {:>12}\n",
            runs[0].problem.label,
            runs[0].optimizer.own_label(),
            runs.len(),
            if runs.len() == 1 { "run " } else { "runs" },
            runs.iter()
                .map(|cell| estimate.evaluations_of(cell))
                .sum::<u64>(),
            runs.iter()
                .map(|cell| estimate.seconds_of(cell))
                .sum::<f64>(),
            match bytes {
                None | Some(0) => "–".into(),
                Some(bytes) => HumanBytes(bytes).to_string(),
            }
        )
    });
    rows.collect()
}

/// Which data a plan was made without, and what that means.
fn absent_data(sweep: &Sweep<'_>) -> String {
    let problems = sweep.experiment.problems.iter();
    let names: BTreeSet<String> = problems.flat_map(|problem| problem.config.data()).collect();
    let known: BTreeSet<String> = sweep.data_sha256.keys().cloned().collect();
    let absent: Vec<&str> = names.difference(&known).map(String::as_str).collect();
    match absent.is_empty() {
        true => String::new(),
        false => format!(
            "Not here: {}. What their runs take is foreseen by the catalogue, and all of them count as lacking.\n",
            absent.join(", ")
        ),
    }
}
