//! The command line, thin: flags in, library calls, tables out.

mod ablation;
mod claims;
mod describe;
mod executor;
mod figures;
mod plan_report;
mod replay;
mod report;
mod run;
mod shard;
mod status;
mod store;
mod suites;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use self::report::ReportCommand;
use crate::data::Library;
use crate::data::command::{self, DataCommand};
use crate::problem::ProblemConfig;
use crate::spec::{Experiment, OptimizerConfig, ProblemEntry, SUITES, Suite};
use crate::{Error, Result};
use ablation::Ablation;
use claims::ClaimsCommand;
use describe::Describe;
use figures::Figures;
use run::Run;
use store::StoreCommand;

/// Ablations over the switch criteria of FUSE: runs, statistics, plots and a report.
#[derive(Debug, Parser)]
#[command(
    name = "bench-runner",
    version,
    propagate_version = true,
    after_help = "Exit codes:\n  0    done; runs that diverged are results\n  1    a run failed with an error\n  2    wrong use of the command line\n  3    invalid experiment file\n  4    unreadable or unwritable file\n  5    unusable device\n  6    missing or damaged data\n  7    the scheduler is missing or refuses\n  130  interrupted; what was complete is in the report"
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
        after_help = "Examples:\n  bench-runner ablation\n  bench-runner ablation quick --seeds 10 --out my-report\n  bench-runner ablation experiment.toml --dry-run\n  bench-runner ablation quick --executor slurm --partition short --shards 20"
    )]
    Ablation(Ablation),
    /// Make one run and print its points as they are measured, or make a share of a plan's runs
    #[command(
        after_help = "Examples:\n  bench-runner run quick mlp-digits adam\n  bench-runner run experiment.toml rosenbrock fuse-pv --seed 3\n  bench-runner run --plan reports/quick/plan.json --shard 0/20"
    )]
    Run(Run),
    /// Make the figures and tables of the paper and ours; run what they lack
    #[command(
        after_help = "Examples:\n  bench-runner figures --list\n  bench-runner figures paths cost-dimension\n  bench-runner figures loss-evaluations --size 640x400 --format pdf\n  bench-runner figures --from reports/quick\n  bench-runner figures --check"
    )]
    Figures(Figures),
    /// Judge the claims of the paper and ours by counts and by results; run what they lack
    #[command(
        after_help = "Examples:\n  bench-runner claims\n  bench-runner claims --explain headline-adam\n  bench-runner claims --check --fast\n  bench-runner claims --update headline-adam\n  bench-runner claims --replay 5d41402abc4b --from reports/quick"
    )]
    Claims(ClaimsCommand),
    /// Make a report of results that are there: of one suite, of several side by side, or of a plan
    #[command(
        after_help = "Examples:\n  bench-runner report reports/quick --open\n  bench-runner report reports/as-shipped reports/paper reports/corrected --out reports/arms\n  bench-runner report reports/quick/plan.json"
    )]
    Report(ReportCommand),
    /// Show which runs of a plan are pending, running, done and failed
    #[command(after_help = "Example:\n  bench-runner status reports/quick/plan.json")]
    Status {
        /// The plan, as `ablation --executor slurm` or `plan` wrote it
        plan: PathBuf,
    },
    /// Compare two result sets: what is the same, what changed, and whether chance explains it
    #[command(after_help = "Example:\n  bench-runner compare reports/before reports/quick")]
    Compare {
        /// A report's folder or a results.parquet
        first: PathBuf,
        /// The other
        second: PathBuf,
    },
    /// Stored runs: list, clean up, merge and compare
    #[command(subcommand)]
    Store(StoreCommand),
    /// List problems, optimizers, criteria and suites
    #[command(after_help = "Examples:\n  bench-runner list\n  bench-runner list criteria")]
    List {
        /// What to list; everything by default
        #[arg(value_enum)]
        what: Option<Listing>,
    },
    /// Show the problems of a suite or an experiment file, with their networks' layers
    #[command(
        after_help = "Examples:\n  bench-runner describe quick\n  bench-runner describe paper mlp-mnist cnn-usps"
    )]
    Describe(Describe),
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
            let datasets = cli.datasets.as_deref();
            let library = Library::from_env(datasets)?;
            ablation::ablation(&options, datasets, library, out)
        }
        Command::Claims(options) => {
            let library = || Ok(Library::from_env(cli.datasets.as_deref())?);
            claims::claims(&options, &library, out)
        }
        Command::Figures(options) => {
            let library = || Ok(Library::from_env(cli.datasets.as_deref())?);
            figures::figures(&options, &library, out)
        }
        Command::Report(options) => self::report::run(&options, out),
        Command::Run(options) => run::run(&options, cli.datasets.as_deref(), out),
        Command::Status { plan } => status::status(&plan, out),
        Command::Compare { first, second } => {
            let first = crate::store::read(&results_file(&first))?;
            let second = crate::store::read(&results_file(&second))?;
            print(out, &crate::report::compare(&first, &second))
        }
        Command::Store(command) => store::run(&command, out),
        Command::List { what } => print(out, &list(what)),
        Command::Describe(options) => {
            let library = Library::from_env(cli.datasets.as_deref())?;
            describe::describe(&options, &library, out)
        }
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
        Command::Run(options) => options.threads,
        Command::Figures(options) => options.threads,
        Command::Claims(options) => options.threads,
        _ => None,
    }
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

/// The result file of a report's folder, or the file itself.
fn results_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("results.parquet")
    } else {
        path.into()
    }
}

/// Runs `work` with a flag that Ctrl-C sets; a second Ctrl-C ends the process at once.
fn interruptible<T>(work: impl FnOnce(&AtomicBool) -> T) -> T {
    let handler = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping; what is complete is kept (Ctrl-C again to quit at once)");
    });
    // A command that makes several sweeps has a handler already.
    if let Err(error) = handler
        && !matches!(error, ctrlc::Error::MultipleHandlers)
    {
        eprintln!("Ctrl-C will lose results: {error}");
    }
    work(&INTERRUPTED)
}

/// A sign of life for what takes a while.
fn spinner(message: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(std::time::Duration::from_millis(200));
    spinner
}

/// Opens a page in the browser.
fn open(page: &Path) -> Result<()> {
    open::that_detached(page).map_err(|error| Error::Browser {
        path: page.into(),
        reason: error.to_string(),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The SHA-256 of every dataset that an experiment uses.
fn data_sha256(experiment: &Experiment, library: &Library) -> Result<BTreeMap<String, String>> {
    hashes(&experiment.problems, library)
}

/// The SHA-256 of every dataset that some problems use.
fn hashes<'a>(
    problems: impl IntoIterator<Item = &'a ProblemEntry>,
    library: &Library,
) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for entry in problems {
        for name in entry.config.data() {
            if hashes.contains_key(&name) {
                continue;
            }
            let hash = entry.config.data_sha256(&name, library)?;
            hashes.insert(name, hash);
        }
    }
    Ok(hashes)
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

/// Writes files into a folder and returns their paths.
fn write_files(folder: &Path, files: Vec<(PathBuf, Vec<u8>)>) -> Result<Vec<PathBuf>> {
    let output = |path: &Path, error: std::io::Error| Error::Output {
        path: path.into(),
        reason: error.to_string(),
    };
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        let folder = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(folder).map_err(|error| output(folder, error))?;
        std::fs::write(&path, bytes).map_err(|error| output(&path, error))?;
        written.push(path);
    }
    Ok(written)
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
