//! The command line, thin: flags in, library calls, tables out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use candle_core::Device;
use clap::{CommandFactory, Parser, Subcommand};
use indicatif::HumanDuration;

use crate::data::Library;
use crate::data::command::{self, DataCommand};
use crate::problem::{Environment, ProblemConfig};
use crate::run::{Outcome, RunRecord};
use crate::spec::{Experiment, OptimizerConfig, SUITES, Suite};
use crate::store::{Circumstances, Manifest};
use crate::sweep::{self, Cell, Estimate, Progress, Resources};
use crate::{Error, Result, report, store};

/// Ablations over the switch criteria of FUSE: runs, statistics, plots and a report.
#[derive(Debug, Parser)]
#[command(
    name = "bench-runner",
    version,
    propagate_version = true,
    after_help = "Exit codes:\n  0    done; runs that diverged are results\n  1    a run failed with an error\n  2    wrong use of the command line\n  3    invalid experiment file\n  4    unreadable or unwritable file\n  5    unusable device\n  6    missing or damaged data\n  130  interrupted; what was complete is in the report"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Your own catalogue of datasets, beside the built-in one
    #[arg(long, global = true, value_name = "FILE")]
    datasets: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a suite or an experiment file and write its report
    #[command(
        after_help = "Examples:\n  bench-runner ablation\n  bench-runner ablation quick --seeds 10 --out my-report\n  bench-runner ablation experiment.toml --dry-run"
    )]
    Ablation(Ablation),
    /// List problems, optimizers, criteria and suites
    #[command(after_help = "Examples:\n  bench-runner list\n  bench-runner list criteria")]
    List {
        /// What to list; everything by default
        #[arg(value_enum)]
        what: Option<Listing>,
    },
    /// Datasets: list, fetch, verify and look at them
    #[command(subcommand)]
    Data(DataCommand),
    /// Print a completion script for your shell
    #[command(
        after_help = "Example:\n  bench-runner completions bash > ~/.local/share/bash-completion/completions/bench-runner"
    )]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Parser)]
struct Ablation {
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
    threads: Option<u16>,
    /// Runs at the same time; threads are divided among them [default: as many as threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where tensors live: cpu, cuda[:N] or metal[:N]
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print the plan and its cost, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// No progress, no table
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Listing {
    Problems,
    Optimizers,
    Criteria,
    Suites,
}

/// Set by Ctrl-C; runs stop at their next step.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Runs the command line; tables go to `out`.
///
/// # Errors
/// Whatever ends the command; [`Error::exit_code`] gives the process's exit code.
pub fn run(cli: Cli, out: &mut impl Write) -> Result<()> {
    match cli.command {
        Command::Ablation(options) => {
            let library = Library::from_env(cli.datasets.as_deref())?;
            ablation(&options, library, out)
        }
        Command::List { what } => print(out, &list(what)),
        Command::Data(command) => {
            let library = Library::from_env(cli.datasets.as_deref())?;
            Ok(command::run(&command, &library, out)?)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "bench-runner", &mut script);
            print(out, &String::from_utf8_lossy(&script))
        }
    }
}

/// Threads that the command line asks for, to be set before any pool is made.
pub fn threads(cli: &Cli) -> Option<u16> {
    match &cli.command {
        Command::Ablation(options) => options.threads,
        _ => None,
    }
}

fn ablation(options: &Ablation, library: Library, out: &mut impl Write) -> Result<()> {
    let started = (SystemTime::now(), Instant::now());
    let mut experiment = experiment(&options.experiment)?;
    if let Some(count) = options.seeds {
        experiment.seeds = (0..count).collect();
    }
    let device = device(&options.device)?;
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => Path::new("reports").join(&experiment.name),
    };
    if !options.dry_run {
        writable(&folder)?;
    }
    let environment = Environment { library, device };
    let threads = options.threads.map_or_else(cores, usize::from);
    let cells = sweep::plan(&experiment);
    let resources = Resources {
        threads,
        jobs: options.jobs.map_or(threads, usize::from).min(cells.len()),
    };
    let estimate = Estimate::new(&experiment, &cells, &environment)?;
    let summary = announce(&experiment, &estimate, resources);
    if options.dry_run {
        return print(out, &(summary + &plan_table(&cells, &estimate)));
    }
    if !options.quiet {
        eprint!("{summary}");
    }

    let data_sha256 = data_sha256(&experiment, &environment.library)?;
    let mut manifest = Manifest::new(Circumstances {
        experiment: &experiment,
        threads,
        jobs: resources.jobs,
        device: &options.device,
        data_sha256,
        started: started.0,
    });
    let records = interruptible(|interrupted| {
        let progress = Progress::new(&estimate, options.quiet);
        sweep::execute(
            &cells,
            &estimate,
            resources,
            &environment,
            &progress,
            interrupted,
        )
    })?;
    let done = records
        .iter()
        .filter(|record| record.outcome != Outcome::Interrupted)
        .count();
    let failed = count_failed(&records);
    let results = sweep::results(&experiment, &estimate.dimensions(), records);
    manifest.complete = done == cells.len();
    store::write(&folder.join("results.parquet"), &results)?;
    manifest.wall_seconds = started.1.elapsed().as_secs_f64();
    report::write(&folder, &results, &manifest)?;
    manifest.wall_seconds = started.1.elapsed().as_secs_f64();
    write_json(&folder.join("manifest.json"), &manifest)?;

    if !options.quiet {
        print(out, &report::terminal_table(&results, 80))?;
        let report = folder.join("index.html");
        let seconds = manifest.wall_seconds;
        print(
            out,
            &format!("\nReport: {} ({seconds:.1} s)\n", report.display()),
        )?;
    }
    if done < cells.len() {
        return Err(Error::Interrupted {
            done,
            total: cells.len(),
        });
    }
    if failed > 0 {
        return Err(Error::RunsFailed {
            failed,
            total: cells.len(),
        });
    }
    Ok(())
}

fn experiment(name: &str) -> Result<Experiment> {
    let path = Path::new(name);
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
        || path.is_file()
    {
        return Experiment::read(path);
    }
    Ok(Suite::find(name)?.experiment()?)
}

/// The device that a flag names.
fn device(name: &str) -> Result<Device> {
    let unusable = |reason: String| Error::Device {
        device: name.into(),
        reason,
    };
    let (kind, ordinal) = name.split_once(':').unwrap_or((name, "0"));
    let ordinal: usize = ordinal
        .parse()
        .map_err(|_| unusable("the part after `:` must be a number".into()))?;
    match kind {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Device::new_cuda(ordinal).map_err(|error| unusable(error.to_string())),
        "metal" => Device::new_metal(ordinal).map_err(|error| unusable(error.to_string())),
        _ => Err(unusable("known are cpu, cuda[:N] and metal[:N]".into())),
    }
}

/// Creates the report's folder and checks that files can be made there, before any work starts.
fn writable(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::Output {
        path: folder.into(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(".writable");
    std::fs::write(&probe, b"").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}

/// Runs `work` with a flag that Ctrl-C sets; a second Ctrl-C ends the process at once.
fn interruptible<T>(work: impl FnOnce(&AtomicBool) -> T) -> T {
    let handler = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!(
            "\nstopping; the report will hold what is complete (Ctrl-C again to quit at once)"
        );
    });
    if let Err(error) = handler {
        eprintln!("Ctrl-C will lose results: {error}");
    }
    work(&INTERRUPTED)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn count_failed(records: &[RunRecord]) -> usize {
    records
        .iter()
        .filter(|record| matches!(record.outcome, Outcome::Failed { .. }))
        .count()
}

/// The SHA-256 of every dataset that an experiment uses.
fn data_sha256(experiment: &Experiment, library: &Library) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for entry in &experiment.problems {
        for name in entry.config.data() {
            let hash = match &entry.config {
                ProblemConfig::Language(_) => library.corpus_sha256(&name)?,
                _ => library.images(&name)?.sha256(),
            };
            hashes.insert(name, hash);
        }
    }
    Ok(hashes)
}

fn announce(experiment: &Experiment, estimate: &Estimate, resources: Resources) -> String {
    let seconds = estimate.seconds / resources.jobs as f64;
    format!(
        "{}: {} runs, at most {} evaluations, about {} with {} at a time on {} threads\n",
        experiment.name,
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
            cell.problem.budget,
            estimate.seconds_of(cell)
        )
    });
    rows.collect()
}

fn list(what: Option<Listing>) -> String {
    let mut text = String::new();
    let mut section = |listing: Listing, title: &str, rows: Vec<(String, String)>| {
        if what.is_some_and(|wanted| wanted != listing) {
            return;
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        text += &format!("{title}\n");
        for (name, description) in rows {
            text += &format!("  {name:<width$}  {description}\n");
        }
    };
    let own = |(name, description): &(&str, &str)| (name.to_string(), description.to_string());
    section(
        Listing::Suites,
        "Suites",
        SUITES.iter().map(suite_row).collect(),
    );
    section(
        Listing::Problems,
        "Problems (`kind` in [[problem]])",
        ProblemConfig::KINDS
            .iter()
            .map(own)
            .chain(
                crate::problem::function::FUNCTIONS
                    .iter()
                    .map(|function| (format!("  {}", function.name), function.title.to_string())),
            )
            .collect(),
    );
    section(
        Listing::Optimizers,
        "Optimizers (`kind` in [[optimizer]])",
        OptimizerConfig::KINDS.iter().map(own).collect(),
    );
    section(
        Listing::Criteria,
        "Criteria (`criterion` of fuse-pv)",
        OptimizerConfig::CRITERIA.iter().map(own).collect(),
    );
    text
}

fn suite_row(suite: &Suite) -> (String, String) {
    let description = suite.experiment().map_or_else(
        |error| error.to_string(),
        |experiment| experiment.description,
    );
    (suite.name.into(), description)
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let failed = |reason: String| Error::Output {
        path: path.into(),
        reason,
    };
    let text = serde_json::to_string_pretty(value).map_err(|error| failed(error.to_string()))?;
    std::fs::write(path, text + "\n").map_err(|error| failed(error.to_string()))
}

/// Writes to `out`; a closed pipe ends the output, not the command.
fn print(out: &mut impl Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Output {
            path: "standard output".into(),
            reason: error.to_string(),
        }),
        _ => Ok(()),
    }
}
