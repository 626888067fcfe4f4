//! The command line, thin: flags in, library calls, tables out.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use bench_analysis::comparison::compare;
use bench_data::Library;
use bench_experiment::store as store_of_runs;
use bench_report::comparison_text;
use clap::{CommandFactory, Parser, Subcommand};

use super::ablation::{self, Ablation};
use super::advise::{self, Advise};
use super::claims::{self, ClaimsCommand};
use super::complete;
use super::data::{self, DataCommand};
use super::describe::{self, Describe};
use super::figures::{self, Figures};
use super::import::{self, ImportCommand};
use super::init;
use super::input::results_file;
use super::list::{self, Listing};
use super::man;
use super::progress::Bars;
use super::report::{self, ReportCommand};
use super::run::{self, Run};
use super::schema;
use super::serve::{self, Serve};
use super::status;
use super::store::{self, StoreCommand};
use super::terminal::print;
use crate::error::Result;

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
    /// Write a commented experiment file to begin with
    #[command(
        after_help = "Example:\n  bench-runner init my-experiment.toml\n  bench-runner ablation my-experiment.toml"
    )]
    Init {
        /// The file; one that is there stays as it is
        #[arg(default_value = "experiment.toml")]
        file: PathBuf,
    },
    /// Run a suite or an experiment file and write its report
    #[command(
        after_help = "Examples:\n  bench-runner ablation\n  bench-runner ablation quick --seeds 10 --out my-report\n  bench-runner ablation experiment.toml --dry-run\n  bench-runner ablation quick --executor slurm --partition short --shards 20"
    )]
    Ablation(Box<Ablation>),
    /// Run a suite or an experiment file and watch it on a page, or show a report
    #[command(
        after_help = "Examples:\n  bench-runner serve --open\n  bench-runner serve experiment.toml --port 8080\n  bench-runner serve reports/quick"
    )]
    Serve(Box<Serve>),
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
        after_help = "Examples:\n  bench-runner claims\n  bench-runner claims --explain headline-adam\n  bench-runner claims --check --fast\n  bench-runner claims --update headline-adam\n  bench-runner claims --replay 524ac1b9fd5c --from reports/reference/quick"
    )]
    Claims(ClaimsCommand),
    /// Say which method to take, by what is known of a problem
    #[command(
        after_help = "Examples:\n  bench-runner advise\n  bench-runner advise --batch-share 0.01 --digits 3\n  bench-runner advise --batch-share 1 --condition 1e4 --interpolating true --digits 6"
    )]
    Advise(Advise),
    /// Make a report of results that are there: of one suite, of several side by side, or of a plan
    #[command(
        after_help = "Examples:\n  bench-runner report reports/quick --open\n  bench-runner report reports/as-shipped reports/paper reports/corrected --out reports/arms\n  bench-runner report reports/quick/plan.json"
    )]
    Report(ReportCommand),
    /// Show runs of PyTorch, JAX or any other program beside a report's own
    #[command(
        after_help = "Examples:\n  bench-runner import muon.csv --label torch-muon --into reports/quick\n  bench-runner import optax.parquet --label optax --note 'Optax 0.2.5, tuned' --into quick --open\n\nColumns: problem, seed, evaluations and loss; optionally optimizer, loss_evaluations, sample_gradients, step, epoch,\nseconds, test_loss, accuracy, word_perplexity, relative_l2, largest_error, gradient_norm and outcome."
    )]
    Import(ImportCommand),
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
    /// List suites, problems, models, datasets, optimizers and criteria
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
    /// Print the JSON Schema of a kind of file, for your editor
    #[command(after_help = "Example:\n  bench-runner schema experiment > experiment.schema.json")]
    Schema {
        /// Which files
        #[arg(value_enum)]
        file: schema::File,
    },
    /// Datasets: list, fetch, verify and look at them
    #[command(subcommand)]
    Data(DataCommand),
    /// Print a completion script for your shell
    #[command(
        after_help = "Example:\n  bench-runner completions bash > ~/.local/share/bash-completion/completions/bench-runner\n\nThe script asks bench-runner itself, so that it knows suites, problems, optimizers, datasets, figures and claims."
    )]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write man pages, one for each command
    #[command(
        after_help = "Example:\n  bench-runner man ~/.local/share/man/man1\n  man bench-runner-ablation"
    )]
    Man {
        /// Their folder
        folder: PathBuf,
    },
}

/// Runs the command line; tables go to `out`.
///
/// # Errors
/// Whatever ends the command; [`Error::exit_code`] gives the process's exit code.
pub fn run(cli: Cli, out: &mut (impl Write + Send)) -> Result<()> {
    let datasets = cli.datasets.as_deref();
    let library = || Library::from_env(datasets, Arc::new(Bars));
    match cli.command {
        Command::Ablation(options) => ablation::ablation(&options, datasets, library()?, out),
        Command::Serve(options) => serve::serve(&options, &library, out),
        Command::Advise(options) => advise::advise(&options, library()?, out),
        Command::Claims(options) => claims::claims(&options, library()?, out),
        Command::Figures(options) => figures::figures(&options, library()?, out),
        Command::Init { file } => init::init(&file, out),
        Command::Import(options) => import::run(&options, out),
        Command::Report(options) => report::run(&options, out),
        Command::Run(options) => run::run(&options, datasets, out),
        Command::Status { plan } => status::status(&plan, out),
        Command::Compare { first, second } => {
            let first = store_of_runs::read(&results_file(&first))?;
            let second = store_of_runs::read(&results_file(&second))?;
            let names = [first.suite.as_str(), second.suite.as_str()];
            print(out, &comparison_text(names, &compare(&first, &second)))
        }
        Command::Store(command) => store::run(&command, out),
        Command::List { what } => print(out, &list::list(what, library()?.catalogue())),
        Command::Describe(options) => describe::describe(&options, &library()?, out),
        Command::Schema { file } => print(out, &schema::text(file)),
        Command::Data(command) => data::run(&command, &library()?, out),
        Command::Completions { shell } => {
            let script = complete::script(shell)?;
            print(out, &script)
        }
        Command::Man { folder } => man::write(Cli::command(), &folder, out),
    }
}

/// Threads that the command line asks for, to be set before any pool is made.
pub fn threads(cli: &Cli) -> Option<u16> {
    match &cli.command {
        Command::Ablation(options) => options.local.threads,
        Command::Serve(options) => options.local.threads,
        Command::Run(options) => options.threads,
        Command::Figures(options) => options.threads,
        Command::Advise(options) => options.threads,
        Command::Claims(options) => options.threads,
        _ => None,
    }
}
