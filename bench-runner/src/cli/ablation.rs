//! `ablation`: what the store lacks is run, then everything is reported.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use candle_core::Device;
use clap::Parser;
use indicatif::{HumanBytes, HumanDuration};

use super::executor::{Distribution, PLAN, distribute};
use super::{cores, data_sha256, interruptible, print};
use crate::data::Library;
use crate::problem::Environment;
use crate::run::{Checkpoint, Outcome, RunRecord};
use crate::spec::{ExecutorConfig, ExecutorKind, Experiment, Scale};
use crate::store::{CellStore, Circumstances, Manifest, Origin, Results};
use crate::sweep::{
    self, Attempts, Cell, Choice, Demand, DeviceSpec, Estimate, Event, Progress, Resources,
    TuningSummary,
};
use crate::{Error, Result, memory, report};

#[derive(Debug, Parser)]
pub(super) struct Ablation {
    /// A built-in suite's name or an experiment file
    #[arg(default_value = "quick", value_name = "SUITE|FILE.toml")]
    experiment: String,
    /// Where the report goes [default: reports/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run seeds 0 to N-1 instead of the experiment's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: Option<u64>,
    /// How much of the experiment is run; its report says so
    #[arg(long, value_enum, default_value_t = Scale::Full)]
    scale: Scale,
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
    /// Runs at the same time; threads are divided among them [default: as many as threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Memory that runs may take together, in GiB [default: 90 % of what is free, where that is known]
    #[arg(long, value_name = "GIB", value_parser = gibibytes)]
    memory_limit: Option<f64>,
    /// Where tensors live: cpu, cuda[:N] or metal[:N]; runs are spread over cuda:0,1 or cuda:all
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = super::store::DEFAULT)]
    store: PathBuf,
    /// Seconds between checkpoints of each run under way, from which it goes on after a stop; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    checkpoint: u64,
    /// Make all runs anew, whatever is stored
    #[arg(long)]
    fresh: bool,
    /// Print the plan and its cost, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Open the report in the browser
    #[arg(long)]
    open: bool,
    /// No progress, no table
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    executor: ExecutorConfig,
}

/// A size in GiB.
fn gibibytes(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(size) if f64::is_finite(size) && size > 0.0 => Ok(size),
        _ => Err("a number above 0 is needed".into()),
    }
}

impl Ablation {
    /// Bytes of the host's memory that runs may take together; what they take of a GPU's is not counted.
    fn memory(&self) -> Option<u64> {
        let asked = |size| (size * f64::from(1 << 30)) as u64;
        self.memory_limit.map(asked).or_else(memory::budget)
    }
}

/// Runs what the store lacks, or has others run it, and writes the report. Where settings are chosen,
/// their trials come first, with a report of their own in the folder `tuning`.
///
/// # Errors
/// Whatever ends the command.
pub(super) fn ablation(
    options: &Ablation,
    datasets: Option<&Path>,
    library: Library,
    out: &mut impl Write,
) -> Result<()> {
    let experiment = super::experiment(&options.experiment)?.scaled(options.scale);
    make(options, experiment, datasets, library, out)
}

/// Runs what the store lacks of an experiment, as [`ablation`] says.
fn make(
    options: &Ablation,
    mut experiment: Experiment,
    datasets: Option<&Path>,
    library: Library,
    out: &mut impl Write,
) -> Result<()> {
    if let Some(count) = options.seeds {
        experiment.seeds = (0..count).collect();
        let chosen_by = experiment.tuning.iter().flat_map(|tuning| &tuning.seeds);
        if let Some(seed) = chosen_by.into_iter().find(|seed| **seed < count) {
            return Err(Error::Flag {
                flag: "seeds",
                value: count.to_string(),
                reason: format!("settings are chosen by seed {seed}: use {seed} or fewer"),
            });
        }
    }
    let executor = executor(options, &experiment)?;
    let local = executor.kind() == ExecutorKind::Local;
    let devices: DeviceSpec = options.device.parse()?;
    if executor.kind() == ExecutorKind::Slurm {
        sweep::slurm::check(executor.shards.unwrap_or(1))?;
    }
    // Whoever makes a plan need not have the devices that its runs will use.
    let opened = if local {
        devices.open()?
    } else {
        vec![Device::Cpu]
    };
    let library = Arc::new(library);
    let environment = |device| Environment {
        library: Arc::clone(&library),
        device,
    };
    let means = Means {
        options,
        datasets,
        environments: opened.into_iter().map(environment).collect(),
        timed: local || devices.is_cpu(),
        executor,
    };
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => Path::new("reports").join(&experiment.name),
    };
    let mut stage = Stage::Comparison(None);
    let mut records = Vec::new();
    if let Some(trials) = sweep::trials(&experiment) {
        let made = sweep_and_report(&means, &trials, Stage::Trials, &folder.join("tuning"), out)?;
        if options.dry_run {
            print(out, "Then, with the chosen settings:\n")?;
        } else if made.is_none() {
            return print(
                out,
                "These are the trials. When they are done, give the same command again: it chooses the \
                 settings, and plans the runs that compare them.\n",
            );
        }
        // Where trials are still to be made, a dry run takes any settings: what is chosen costs as much.
        records = made.unwrap_or_default();
        let (tuned, summary) = sweep::tuned(&experiment, &records);
        if !local && summary.choices.iter().any(Choice::is_void) {
            none_failed(&records)?;
        }
        experiment = tuned;
        stage = Stage::Comparison(Some(summary));
    }
    let compared = sweep_and_report(&means, &experiment, stage, &folder, out)?;
    records.extend(compared.unwrap_or_default());
    none_failed(&records)
}

/// What a sweep is for.
enum Stage {
    /// Settings are chosen by it.
    Trials,
    /// Optimizers are compared, with settings that were chosen in this way, or given.
    Comparison(Option<TuningSummary>),
}

impl Stage {
    fn tuning(&self) -> Option<TuningSummary> {
        match self {
            Self::Trials => None,
            Self::Comparison(tuning) => tuning.clone(),
        }
    }
}

/// What a sweep is made with.
struct Means<'a> {
    options: &'a Ablation,
    datasets: Option<&'a Path>,
    environments: Vec<Environment>,
    /// Whether an evaluation here tells how long one will take in a run.
    timed: bool,
    executor: ExecutorConfig,
}

/// One sweep and its report. Returns the records, runs that failed among them; `None` where runs are missing
/// that others are to make, or that a dry run has only listed.
fn sweep_and_report(
    means: &Means<'_>,
    experiment: &Experiment,
    stage: Stage,
    folder: &Path,
    out: &mut impl Write,
) -> Result<Option<Vec<RunRecord>>> {
    let started = (SystemTime::now(), Instant::now());
    let (options, environments) = (means.options, &means.environments);
    let local = means.executor.kind() == ExecutorKind::Local;
    if !options.dry_run {
        writable(folder)?;
    }
    let threads = options.threads.map_or_else(cores, usize::from);
    let cells = sweep::plan(experiment);
    let data_sha256 = data_sha256(experiment, &environments[0].library)?;
    let store = CellStore::new(&options.store);
    let origins: Vec<Origin> = cells
        .iter()
        .map(|cell| Origin::new(cell, &options.device, &data_sha256))
        .collect::<Result<_>>()?;
    let mut records: Vec<Option<RunRecord>> = cells
        .iter()
        .zip(&origins)
        .map(|(cell, origin)| stored(&store, cell, origin, options.fresh))
        .collect();
    let failed = if !local && matches!(stage, Stage::Trials) {
        fill_in_failures(&folder.join(PLAN), &cells, &origins, &mut records)
    } else {
        0
    };
    let missing: Vec<usize> = (0..cells.len())
        .filter(|&index| records[index].is_none())
        .collect();
    let missing_cells: Vec<Cell<'_>> = missing.iter().map(|&index| cells[index]).collect();
    let resources = Resources {
        threads,
        jobs: options
            .jobs
            .map_or(threads, usize::from)
            .min(missing.len().max(1)),
        memory: options.memory(),
    };
    let estimate = Estimate::new(experiment, &missing_cells, &environments[0], means.timed)?;
    let summary = announce(experiment, &estimate, cells.len() - failed, resources);
    if options.dry_run {
        print(out, &(summary + &plan_table(&missing_cells, &estimate)))?;
        let complete = missing.is_empty();
        return Ok(complete.then(|| records.into_iter().flatten().collect()));
    }
    if !local && !missing.is_empty() {
        distribute(
            Distribution {
                experiment,
                cells: &cells,
                origins: &origins,
                missing: &missing,
                estimate: &estimate,
                executor: &means.executor,
                device: &options.device,
                data_sha256,
                datasets: means.datasets,
                store: &options.store,
                folder,
                tuning: stage.tuning(),
            },
            out,
        )?;
        return Ok(None);
    }
    if !options.quiet {
        eprint!("{summary}");
    }
    if !missing.is_empty() {
        store.writable().map_err(sweep::store_advice)?;
    }

    let mut manifest = Manifest::new(Circumstances {
        experiment,
        threads,
        jobs: resources.jobs,
        device: &options.device,
        data_sha256,
        started: started.0,
    })?;
    let unsaved = Mutex::new(None);
    let made = interruptible(|interrupted| {
        let demands: Vec<Demand> = missing_cells
            .iter()
            .map(|cell| estimate.demand(cell))
            .collect();
        let progress = Progress::new(&demands, options.quiet);
        let observe = |index: usize, event: Event<'_>| {
            let Event::Finished(record) = event else {
                return;
            };
            progress.finished(index, record);
            if let Err(error) = store.save(&origins[missing[index]], record) {
                unsaved
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
        };
        let checkpoint = |index: usize| {
            (options.checkpoint > 0).then(|| Checkpoint {
                path: store.checkpoint(&origins[missing[index]].address()),
                interval: Duration::from_secs(options.checkpoint),
            })
        };
        let made = sweep::execute(
            &missing_cells,
            &demands,
            resources,
            environments,
            &checkpoint,
            &observe,
            interrupted,
        );
        progress.done();
        made
    })?;
    for (&index, record) in missing.iter().zip(made) {
        records[index] = record;
    }
    let records: Vec<RunRecord> = records.into_iter().flatten().collect();
    manifest.complete = done(&records) == cells.len();
    if let Some(error) = unsaved.into_inner().unwrap_or_else(PoisonError::into_inner) {
        eprintln!("runs are in the report, but not all in the store: {error}");
    }
    let mut results = sweep::results(experiment, &estimate.dimensions(), records);
    results.tuning = stage.tuning();
    write_report(folder, &results, manifest, started.1, options.quiet, out)?;
    if options.open {
        super::open(&folder.join("index.html"))?;
    }
    let (done, total) = (done(&results.records), cells.len());
    if done < total {
        return Err(Error::Interrupted { done, total });
    }
    Ok(Some(results.records))
}

/// Fills in the trials that failed elsewhere, once no others are missing, and returns how many. They count as the
/// worst; trying them for ever would keep the settings from being chosen.
fn fill_in_failures(
    plan: &Path,
    cells: &[Cell<'_>],
    origins: &[Origin],
    records: &mut [Option<RunRecord>],
) -> usize {
    let attempts = Attempts::beside(plan);
    let reasons = attempts.all();
    let mut failures = Vec::new();
    for (index, (cell, origin)) in cells.iter().zip(origins).enumerate() {
        if records[index].is_some() {
            continue;
        }
        let attempt = reasons.get(&origin.address());
        let Some(reason) = attempt
            .filter(|attempt| attempt.begun)
            .and_then(|attempt| attempt.failure.clone())
        else {
            return 0;
        };
        let record = RunRecord::new(cell.id(), Outcome::Failed { reason });
        failures.push((index, record));
    }
    let failed = failures.len();
    if failed > 0 {
        eprintln!(
            "{failed} of the trials failed and count as the worst; to have them made again, delete {}",
            attempts.folder().display()
        );
    }
    for (index, record) in failures {
        records[index] = Some(record);
    }
    failed
}

/// The executor's settings, from the flags and the experiment file.
fn executor(options: &Ablation, experiment: &Experiment) -> Result<ExecutorConfig> {
    let executor = options.executor.or(experiment.executor.as_ref());
    executor.check().map_err(|bad| Error::Flag {
        flag: bad.flag,
        value: bad.value,
        reason: bad.reason,
    })?;
    let refused = |flag, value: String, reason: &str| {
        Err(Error::Flag {
            flag,
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

/// Writes the report into a folder, and the table to `out` unless `quiet`.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write_report(
    folder: &Path,
    results: &Results,
    mut manifest: Manifest,
    started: Instant,
    quiet: bool,
    out: &mut impl Write,
) -> Result<()> {
    crate::store::write(&folder.join("results.parquet"), results)?;
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    let findings = super::claims::findings(results)?;
    report::write_with(folder, results, &manifest, &findings, &[])?;
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    manifest.write(&folder.join("manifest.json"))?;
    if quiet {
        return Ok(());
    }
    print(out, &report::terminal_table(results, 80))?;
    let report = folder.join("index.html");
    let seconds = manifest.wall_seconds;
    print(
        out,
        &format!("\nReport: {} ({seconds:.1} s)\n", report.display()),
    )
}

/// The runs that have ended, one way or another.
fn done(records: &[RunRecord]) -> usize {
    records
        .iter()
        .filter(|record| record.outcome != Outcome::Interrupted)
        .count()
}

/// That no run failed.
///
/// # Errors
/// How many did.
pub(super) fn none_failed(records: &[RunRecord]) -> Result<()> {
    let failed = |record: &&RunRecord| matches!(record.outcome, Outcome::Failed { .. });
    match records.iter().filter(failed).count() {
        0 => Ok(()),
        failed => Err(Error::RunsFailed {
            failed,
            total: records.len(),
        }),
    }
}

/// Completes a built-in suite in its usual folder, or at a smaller scale one beside it, through the store, and
/// returns its results as its files hold them. Problems whose data are not there are left out, and named on
/// standard error.
///
/// # Errors
/// Whatever ends the command, and missing data where no problem has its own; runs that failed do not.
pub(super) fn complete(
    suite: &str,
    store: &Path,
    threads: Option<u16>,
    scale: Scale,
    library: Library,
) -> Result<(Results, Manifest)> {
    let folder = Path::new("reports").join(scale.name_of(suite));
    let mut options = Ablation::parse_from(["ablation", suite]);
    options.out = Some(folder.clone());
    options.store = store.into();
    options.threads = threads;
    let mut experiment = super::experiment(suite)?.scaled(scale);
    let mut kept = Vec::new();
    let mut missing = None;
    for problem in std::mem::take(&mut experiment.problems) {
        match super::hashes([&problem], &library) {
            Ok(_) => kept.push(problem),
            Err(Error::Data(error)) => {
                eprintln!("{suite}: `{}` is left out: {error}", problem.label);
                missing.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    if let (true, Some(error)) = (kept.is_empty(), missing) {
        return Err(error.into());
    }
    experiment.problems = kept;
    experiment.scales.clear();
    match make(&options, experiment, None, library, &mut std::io::sink()) {
        Err(Error::RunsFailed { failed, total }) => {
            eprintln!("{suite}: {failed} of {total} runs failed; the others are used");
        }
        other => other?,
    }
    let results = crate::store::read(&folder.join("results.parquet"))?;
    Ok((results, Manifest::read(&folder.join("manifest.json"))?))
}

/// The stored run of a cell, under the cell's own labels.
fn stored(store: &CellStore, cell: &Cell<'_>, origin: &Origin, fresh: bool) -> Option<RunRecord> {
    if fresh {
        return None;
    }
    let mut record = store.load(origin)?;
    record.cell = cell.id();
    Some(record)
}

/// Creates the report's folder and checks that files can be made there, before any work starts.
pub(super) fn writable(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::Output {
        path: folder.into(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(".writable");
    std::fs::write(&probe, b"").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}

fn announce(
    experiment: &Experiment,
    estimate: &Estimate,
    runs: usize,
    resources: Resources,
) -> String {
    let name = &experiment.name;
    if estimate.runs == 0 {
        return format!("{name}: {runs} runs, all in the store\n");
    }
    let stored = match runs - estimate.runs {
        0 => String::new(),
        stored => format!(" ({stored} more are in the store)"),
    };
    let seconds = estimate.seconds / resources.jobs as f64;
    format!(
        "{name}: {} runs{stored}, at most {} evaluations, about {} with {} at a time on {} threads\n",
        estimate.runs,
        estimate.evaluations,
        HumanDuration(std::time::Duration::from_secs_f64(seconds)),
        resources.jobs,
        resources.threads,
    )
}

fn plan_table(cells: &[Cell<'_>], estimate: &Estimate) -> String {
    let rows = cells.iter().map(|cell| {
        let demand = estimate.demand(cell);
        format!(
            "  {:<20} {:<24} seed {:<4} {:>8} evaluations {:>9.2} s {:>12}\n",
            cell.problem.label,
            cell.optimizer.label,
            cell.seed,
            estimate.evaluations_of(cell),
            demand.seconds,
            HumanBytes(demand.bytes).to_string()
        )
    });
    rows.collect()
}
