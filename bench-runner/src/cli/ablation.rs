//! `ablation`: what the store lacks is run, then everything is reported.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bench_data::Library;
use bench_experiment::memory;
use bench_experiment::run::Cell;
use bench_experiment::session::{Made, Options, Session, Stage, Sweep, in_stages};
use bench_experiment::spec::{
    ExecutorConfig, ExecutorKind, Experiment, Scale, Selection, Stability,
};
use bench_experiment::store::read_imported;
use bench_experiment::sweep::{Distributed, slurm};
use clap::Parser;
use indicatif::HumanBytes;

use super::executor::ExecutorFlags;
use super::input::{experiment, scale};
use super::options::{CHECKPOINT_SECONDS, MOST_THREADS};
use super::progress::{Monitor, announcement};
use super::publish::{none_failed, publish, writable};
use super::store::DEFAULT as DEFAULT_STORE;
use super::terminal::{cores, interruptible, open, print};
use crate::error::{Error, Result};

#[derive(Debug, Parser)]
pub struct Ablation {
    /// A built-in suite's name or an experiment file
    #[arg(default_value = "quick", value_name = "SUITE|FILE.toml")]
    experiment: String,
    /// Where the report goes [default: reports/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run only problems whose label matches one of these patterns, such as `mlp*`
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    problems: Vec<String>,
    /// Run only optimizers whose label matches one of these patterns, such as `fuse-pv/*`
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    optimizers: Vec<String>,
    /// Run seeds 0 to N-1 instead of the experiment's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: Option<u64>,
    /// Repeat the first seed's runs from N starts that differ by rounding only
    #[arg(long, value_name = "N")]
    perturbations: Option<u64>,
    /// How much of the experiment is run; its report says so
    #[arg(long, value_parser = scale(), default_value = "full")]
    scale: Scale,
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub threads: Option<u16>,
    /// Runs at the same time; threads are divided among them [default: as many as threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    jobs: Option<u16>,
    /// Memory that runs may take together, in GiB [default: 90 % of what is free, where that is known]
    #[arg(long, value_name = "GIB", value_parser = gibibytes)]
    memory_limit: Option<f64>,
    /// Where tensors live: cpu, cuda[:N] or metal[:N]; runs are spread over cuda:0,1 or cuda:all
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STORE)]
    store: PathBuf,
    /// Seconds between checkpoints of each run under way, from which it goes on after a stop; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = CHECKPOINT_SECONDS)]
    checkpoint: u64,
    /// Make all runs anew, whatever is stored
    #[arg(long)]
    fresh: bool,
    /// Print the plan and its cost, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace the report that is there even by a less complete one, which otherwise goes to its folder `partial`
    #[arg(long)]
    replace: bool,
    /// Open the report in the browser
    #[arg(long)]
    open: bool,
    /// No progress, no table
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    executor: ExecutorFlags,
}

/// A size in GiB.
fn gibibytes(text: &str) -> std::result::Result<f64, &'static str> {
    match text.parse() {
        Ok(size) if f64::is_finite(size) && size > 0.0 => Ok(size),
        _ => Err("a number above 0 is needed"),
    }
}

impl Ablation {
    /// Bytes of the host's memory that runs may take together; what they take of a GPU's is not counted.
    fn memory(&self) -> Option<u64> {
        let asked = |size| (size * f64::from(1 << 30)) as u64;
        self.memory_limit.map(asked).or_else(memory::budget)
    }

    fn session(&self) -> Result<Options> {
        Ok(Options {
            command: std::env::args().collect(),
            device: self.device.parse()?,
            threads: self.threads.map_or_else(cores, usize::from),
            jobs: self.jobs.map(usize::from),
            memory: self.memory(),
            store: self.store.clone(),
            checkpoint: (self.checkpoint > 0).then(|| Duration::from_secs(self.checkpoint)),
            fresh: self.fresh,
        })
    }
}

/// Runs what the store lacks, or has others run it, and writes the report. Where settings are chosen,
/// their trials come first, with a report of their own in the folder `tuning`; repetitions from perturbed
/// starts follow, with theirs in `stability`.
///
/// # Errors
/// Whatever ends the command.
pub fn ablation(
    options: &Ablation,
    datasets: Option<&Path>,
    library: Library,
    out: &mut impl Write,
) -> Result<()> {
    let selection = Selection::new(&options.problems, &options.optimizers)?;
    let scaled = experiment(&options.experiment)?.scaled(options.scale);
    let mut experiment = seeded(scaled.selected(&selection)?, options.seeds)?;
    if let Some(count) = options.perturbations {
        experiment.stability = Some(perturbations(count)?);
    }
    let executor = executor(options, &experiment)?;
    let session = options.session()?;
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => Path::new("reports").join(&experiment.name),
    };
    let monitor = Monitor::new(options.quiet);
    let observe = |event: bench_experiment::session::Event<'_>| monitor.observe(event);
    let interrupted = interruptible();
    if executor.kind() == ExecutorKind::Local {
        let session = Session::open(session, library, &observe, interrupted)?;
        return match options.dry_run {
            true => dry_run(&session, &experiment, &folder, false, out),
            false => local(&session, &experiment, options, &folder, out),
        };
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
        replace: options.replace,
        quiet: options.quiet,
    };
    elsewhere.distribute(&experiment, out)
}

/// The experiment with the first seeds, if the user says how many.
fn seeded(mut experiment: Experiment, seeds: Option<u64>) -> Result<Experiment> {
    let Some(count) = seeds else {
        return Ok(experiment);
    };
    experiment.seeds = (0..count).collect();
    let chosen_by = experiment.tuning.iter().flat_map(|tuning| &tuning.seeds);
    match chosen_by.into_iter().find(|seed| **seed < count) {
        Some(seed) => Err(Error::Flag {
            flag: "seeds".into(),
            value: count.to_string(),
            reason: format!("settings are chosen by seed {seed}: use {seed} or fewer"),
        }),
        None => Ok(experiment),
    }
}

/// The repetitions that the user asks for.
fn perturbations(count: u64) -> Result<Stability> {
    Stability::new(count).map_err(|reason| Error::Flag {
        flag: "perturbations".into(),
        value: count.to_string(),
        reason,
    })
}

/// Makes the runs in this process.
fn local(
    session: &Session<'_>,
    experiment: &Experiment,
    options: &Ablation,
    folder: &Path,
    out: &mut impl Write,
) -> Result<()> {
    writable(folder)?;
    // What cannot be shown beside the runs is better known before they are made.
    read_imported(&folder.join("results.parquet"))?;
    let mut counts = Counts::default();
    let mut started = Instant::now();
    session.complete(experiment, &mut |stage, made| -> Result<()> {
        let folder = stage_folder(folder, stage);
        counts.take_note(&folder, &made);
        let folder = publish(&folder, made, started, options.replace, options.quiet, out)?;
        started = Instant::now();
        match options.open {
            true => open(&folder.join("index.html")),
            false => Ok(()),
        }
    })?;
    counts.none_failed()
}

/// Runs, and those of them that failed, of each stage by its folder. A round of trials has those of the
/// rounds before it.
#[derive(Default)]
struct Counts(BTreeMap<PathBuf, (usize, usize)>);

impl Counts {
    fn take_note(&mut self, folder: &Path, made: &Made) {
        let counts = (made.failed(), made.results.records.len());
        self.0.insert(folder.into(), counts);
    }

    fn none_failed(&self) -> Result<()> {
        let stages = self.0.values();
        let (failed, total) = stages.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        none_failed(failed, total)
    }
}

/// The folder of a stage's report.
fn stage_folder(folder: &Path, stage: &Stage) -> PathBuf {
    match stage {
        Stage::Trials => folder.join("tuning"),
        Stage::Perturbations(_) => folder.join("stability"),
        Stage::Comparison(..) => folder.into(),
    }
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
        print(out, &(plan_table(&sweep) + &announcement(&sweep)))?;
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
                let made: Made = self.session.run(sweep, stage)?;
                let records = made.results.records.clone();
                counts.take_note(&folder, &made);
                publish(&folder, made, started, self.replace, self.quiet, out)?;
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
    match (options.threads, options.jobs) {
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
        _ if options.fresh => refused(
            "fresh",
            String::new(),
            "is for runs in this process; to have all runs made anew, name an empty --store",
        ),
        _ => Ok(executor),
    }
}

/// What is to be run, a line for all seeds of an optimizer on a problem.
fn plan_table(sweep: &Sweep<'_>) -> String {
    let estimate = &sweep.estimate;
    let cells = sweep.missing_cells();
    // The seeds of a cell follow each other in a plan.
    let same = |a: &Cell<'_>, b: &Cell<'_>| {
        a.problem.label == b.problem.label && a.optimizer.label == b.optimizer.label
    };
    let widest = |length: fn(&Cell<'_>) -> usize| cells.iter().map(length).max();
    let problems = widest(|cell| cell.problem.label.chars().count()).unwrap_or_default();
    let optimizers = widest(|cell| cell.optimizer.label.chars().count()).unwrap_or_default();
    let rows = cells.chunk_by(same).map(|seeds| {
        let demands = || seeds.iter().map(|cell| estimate.demand(cell));
        format!(
            "  {:<problems$}  {:<optimizers$}  {:>3} seeds {:>9} evaluations {:>9.2} s {:>12}\n",
            seeds[0].problem.label,
            seeds[0].optimizer.label,
            seeds.len(),
            seeds
                .iter()
                .map(|cell| estimate.evaluations_of(cell))
                .sum::<u64>(),
            demands().map(|demand| demand.seconds).sum::<f64>(),
            HumanBytes(
                demands()
                    .map(|demand| demand.bytes)
                    .max()
                    .unwrap_or_default()
            )
            .to_string()
        )
    });
    rows.collect()
}
