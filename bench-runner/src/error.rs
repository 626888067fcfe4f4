//! What ends a command, and the exit code that says so.

use std::path::PathBuf;

use bench_experiment::import::ImportError;
use bench_experiment::settings::Invalid;

/// The result of every command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of every command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag's value cannot be used.
    #[error("--{flag} {value}: {reason}")]
    Flag {
        /// The flag, without dashes.
        flag: String,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// A file that is there is not written over.
    #[error("{} is there already, and stays as it is: name another file", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// Standard output cannot be written to.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),

    /// The browser could not be started.
    #[error("cannot open {} in a browser: {source}", .path.display())]
    Browser {
        /// The page.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// Figures that were asked for by name could not be drawn.
    #[error("{skipped} of the figures asked for were not drawn; the reasons are above")]
    FiguresSkipped {
        /// How many.
        skipped: usize,
    },

    /// None of the figures could be drawn.
    #[error("nothing was drawn, so that nothing was written")]
    NothingDrawn,

    /// An argument cannot be used in files, scripts and reports.
    #[error("argument {argument:?}: {reason}")]
    Argument {
        /// The argument, with signs in place of what is no text.
        argument: String,
        /// What is wrong.
        reason: &'static str,
    },

    /// Verdicts or counts are no longer the recorded ones.
    #[error("{} of the claims moved:\n  {}", .moved.len(), .moved.join("\n  "))]
    ClaimsMoved {
        /// What moved, one line each.
        moved: Vec<String>,
    },

    /// A recorded run, made again, is another.
    #[error("{run}: its record is not what the program makes now")]
    ReplayDiffers {
        /// The run.
        run: String,
    },

    /// A committed report is not what the program makes.
    #[error("{} of {total} reference reports differ: {}", .differing.len(), .differing.join(", "))]
    ReferenceDiffers {
        /// The suites whose reports differ.
        differing: Vec<String>,
        /// Reports checked.
        total: usize,
    },

    /// A plan's report lacks runs that are still to be made.
    #[error(
        "{done} of {total} runs are in the report; `bench-runner status {}` shows the others",
        .plan.display()
    )]
    Unfinished {
        /// The plan's file.
        plan: PathBuf,
        /// Runs in the report.
        done: usize,
        /// Planned runs.
        total: usize,
    },

    /// Some runs ended with an error; their reasons stand in the report.
    #[error(
        "{failed} of {total} runs failed; the report, or `status` of a plan, names the reasons"
    )]
    RunsFailed {
        /// How many.
        failed: usize,
        /// Of how many.
        total: usize,
    },

    /// A file of claims could not be written into.
    #[error("{}: {source}", .path.display())]
    Claims {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml_edit::TomlError>,
    },

    /// Files of a dataset are damaged or missing.
    #[error(
        "{}: {bad} files are damaged or missing; `bench-runner data fetch NAME` fetches them again",
        .cache.display()
    )]
    DataDamaged {
        /// The cache.
        cache: PathBuf,
        /// How many.
        bad: usize,
    },

    /// Data cannot be had or read.
    #[error(transparent)]
    Data(#[from] bench_data::Error),

    /// Runs of another program cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),

    /// An experiment cannot be run.
    #[error(transparent)]
    Experiment(bench_experiment::Error),

    /// Results cannot be analysed.
    #[error(transparent)]
    Analysis(#[from] bench_analysis::Error),

    /// Something cannot be drawn or written for people.
    #[error(transparent)]
    Report(#[from] bench_report::Error),
}

impl From<bench_experiment::Error> for Error {
    fn from(error: bench_experiment::Error) -> Self {
        match error {
            bench_experiment::Error::TooManyTasks { shards, .. } => Self::Flag {
                flag: "shards".into(),
                value: shards.to_string(),
                reason: error.to_string(),
            },
            _ => Self::Experiment(error),
        }
    }
}

impl Error {
    /// A setting that was given as a flag.
    pub fn flag(invalid: Invalid) -> Self {
        Self::Flag {
            flag: invalid.key.replace('_', "-"),
            value: invalid.value.unwrap_or_default(),
            reason: invalid.reason,
        }
    }

    /// Whether data are missing, which concerns only what needs them.
    pub fn is_missing_data(&self) -> bool {
        use bench_experiment::Error as Experiment;
        matches!(self, Self::Data(_) | Self::Experiment(Experiment::Data(_)))
    }

    /// The process's exit code: 1 a run failed, 2 wrong use of the command line, 3 invalid
    /// experiment file, 4 unreadable or unwritable file, 5 unusable device, 6 missing or damaged
    /// data, 7 missing or refusing scheduler, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Flag { .. } | Self::Argument { .. } | Self::Exists { .. } => 2,
            Self::Output(_) | Self::Claims { .. } => 4,
            Self::FiguresSkipped { .. }
            | Self::NothingDrawn
            | Self::Data(_)
            | Self::Import(_)
            | Self::DataDamaged { .. } => 6,
            Self::Browser { .. }
            | Self::ClaimsMoved { .. }
            | Self::ReplayDiffers { .. }
            | Self::ReferenceDiffers { .. }
            | Self::Unfinished { .. }
            | Self::RunsFailed { .. } => 1,
            Self::Experiment(error) => of_experiment(error),
            Self::Analysis(error) => of_analysis(error),
            Self::Report(error) => of_report(error),
        }
    }
}

fn of_experiment(error: &bench_experiment::Error) -> u8 {
    use bench_experiment::Error;
    match error {
        Error::UnknownName { .. }
        | Error::NotOneRun { .. }
        | Error::Threads { .. }
        | Error::TooManyTasks { .. } => 2,
        Error::Spec(_)
        | Error::Setting(_)
        | Error::Unwritable { .. }
        | Error::Plan { .. }
        | Error::Unfit { .. }
        | Error::Misfit { .. } => 3,
        Error::Io { .. }
        | Error::Store { .. }
        | Error::NotAStore { .. }
        | Error::Damaged { .. } => 4,
        Error::Device { .. } => 5,
        Error::Data(_) | Error::OtherData { .. } => 6,
        Error::Scheduler { .. } => 7,
        Error::Interrupted { .. } => 130,
        _ => 1,
    }
}

fn of_analysis(error: &bench_analysis::Error) -> u8 {
    use bench_analysis::Error;
    match error {
        Error::UnknownClaim { .. } => 2,
        Error::Syntax { .. } | Error::Claim { .. } => 3,
        Error::Read { .. } => 4,
        _ => 1,
    }
}

fn of_report(error: &bench_report::Error) -> u8 {
    use bench_report::Error;
    match error {
        Error::UnknownFigure { .. } => 2,
        Error::Syntax { .. } | Error::Catalogue { .. } => 3,
        _ => 4,
    }
}
