//! `ablation`: what the store lacks is run, then everything is reported.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use candle_core::Device;
use clap::Parser;
use indicatif::HumanDuration;

use super::executor::{Distribution, distribute};
use super::{cores, data_sha256, interruptible, print};
use crate::data::Library;
use crate::problem::Environment;
use crate::run::{Outcome, RunRecord};
use crate::spec::{ExecutorConfig, ExecutorKind, Experiment};
use crate::store::{CellStore, Circumstances, Manifest, Origin, Results};
use crate::sweep::{self, Cell, DeviceSpec, Estimate, Event, Progress, Resources};
use crate::{Error, Result, report};

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
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
    /// Runs at the same time; threads are divided among them [default: as many as threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where tensors live: cpu, cuda[:N] or metal[:N]; runs are spread over cuda:0,1 or cuda:all
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = super::store::DEFAULT)]
    store: PathBuf,
    /// Make all runs anew, whatever is stored
    #[arg(long)]
    fresh: bool,
    /// Print the plan and its cost, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// No progress, no table
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    executor: ExecutorConfig,
}

/// Runs what the store lacks, or has others run it, and writes the report.
///
/// # Errors
/// Whatever ends the command.
pub(super) fn ablation(
    options: &Ablation,
    datasets: Option<&Path>,
    library: Library,
    out: &mut impl Write,
) -> Result<()> {
    let started = (SystemTime::now(), Instant::now());
    let mut experiment = super::experiment(&options.experiment)?;
    if let Some(count) = options.seeds {
        experiment.seeds = (0..count).collect();
    }
    let executor = executor(options, &experiment)?;
    let local = executor.kind() == ExecutorKind::Local;
    let devices: DeviceSpec = options.device.parse()?;
    if executor.kind() == ExecutorKind::Slurm {
        sweep::slurm::check(executor.shards.unwrap_or(1))?;
    }
    // Whoever makes a plan need not have the devices that its runs will use.
    let environments: Vec<Environment> = {
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
        opened.into_iter().map(environment).collect()
    };
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => Path::new("reports").join(&experiment.name),
    };
    if !options.dry_run {
        writable(&folder)?;
    }
    let threads = options.threads.map_or_else(cores, usize::from);
    let cells = sweep::plan(&experiment);
    let data_sha256 = data_sha256(&experiment, &environments[0].library)?;
    let store = CellStore::new(&options.store);
    let origins: Vec<Origin> = cells
        .iter()
        .map(|cell| Origin::new(cell, &options.device, &data_sha256))
        .collect();
    let mut records: Vec<Option<RunRecord>> = cells
        .iter()
        .zip(&origins)
        .map(|(cell, origin)| stored(&store, cell, origin, options.fresh))
        .collect();
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
    };
    let timed = local || devices.is_cpu();
    let estimate = Estimate::new(&experiment, &missing_cells, &environments[0], timed)?;
    let summary = announce(&experiment, &estimate, cells.len(), resources);
    if options.dry_run {
        return print(out, &(summary + &plan_table(&missing_cells, &estimate)));
    }
    if !local {
        return distribute(
            Distribution {
                experiment: &experiment,
                cells: &cells,
                origins: &origins,
                missing: &missing,
                estimate: &estimate,
                executor: &executor,
                device: &options.device,
                data_sha256,
                datasets,
                store: &options.store,
                folder: &folder,
            },
            out,
        );
    }
    if !options.quiet {
        eprint!("{summary}");
    }
    if !missing.is_empty() {
        store.writable().map_err(sweep::store_advice)?;
    }

    let mut manifest = Manifest::new(Circumstances {
        experiment: &experiment,
        threads,
        jobs: resources.jobs,
        device: &options.device,
        data_sha256,
        started: started.0,
    });
    let unsaved = Mutex::new(None);
    let made = interruptible(|interrupted| {
        let seconds: Vec<f64> = missing_cells
            .iter()
            .map(|cell| estimate.seconds_of(cell))
            .collect();
        let progress = Progress::new(&seconds, options.quiet);
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
        let made = sweep::execute(
            &missing_cells,
            &seconds,
            resources,
            &environments,
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
    let results = sweep::results(&experiment, &estimate.dimensions(), records);
    write_report(&folder, &results, manifest, started.1, options.quiet, out)?;
    ending(&results.records, cells.len())
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
    report::write(folder, results, &manifest)?;
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    write_json(&folder.join("manifest.json"), &manifest)?;
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

/// Whether a sweep of `total` runs is whole.
///
/// # Errors
/// When runs were interrupted or failed.
pub(super) fn ending(records: &[RunRecord], total: usize) -> Result<()> {
    let (done, failed) = (done(records), count_failed(records));
    if done < total {
        return Err(Error::Interrupted { done, total });
    }
    if failed > 0 {
        return Err(Error::RunsFailed { failed, total });
    }
    Ok(())
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

fn count_failed(records: &[RunRecord]) -> usize {
    records
        .iter()
        .filter(|record| matches!(record.outcome, Outcome::Failed { .. }))
        .count()
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
        format!(
            "  {:<20} {:<24} seed {:<4} {:>8} evaluations {:>9.2} s\n",
            cell.problem.label,
            cell.optimizer.label,
            cell.seed,
            estimate.evaluations_of(cell),
            estimate.seconds_of(cell)
        )
    });
    rows.collect()
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let failed = |reason: String| Error::Output {
        path: path.into(),
        reason,
    };
    let text = serde_json::to_string_pretty(value).map_err(|error| failed(error.to_string()))?;
    std::fs::write(path, text + "\n").map_err(|error| failed(error.to_string()))
}
