//! What can go wrong, and the exit code that says so.

use std::path::PathBuf;

use crate::catalogue::CatalogueError;
use crate::spec::SpecError;

/// The error of every command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An experiment file is not valid.
    #[error(transparent)]
    Spec(#[from] SpecError),

    /// A catalogue of figures is not valid.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),

    /// Figures that were asked for by name could not be drawn.
    #[error("{skipped} of the figures asked for were not drawn; the reasons are above")]
    FiguresSkipped {
        /// How many.
        skipped: usize,
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

    /// The browser could not be started.
    #[error("cannot open {} in a browser: {reason}", .path.display())]
    Browser {
        /// The page.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },

    /// A committed report is not what the program makes.
    #[error("{} of {total} reference reports differ: {}", .differing.len(), .differing.join(", "))]
    ReferenceDiffers {
        /// The suites whose reports differ.
        differing: Vec<String>,
        /// Reports checked.
        total: usize,
    },

    /// A name that nothing answers to.
    #[error("unknown {what} `{name}`{}", suggestion(.known, .name))]
    UnknownName {
        /// What was looked for, for example `suite`.
        what: &'static str,
        /// The name given.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },

    /// A flag's value cannot be used.
    #[error("--{flag} {value}: {reason}")]
    Flag {
        /// The flag, without dashes.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// A result or report could not be written.
    #[error("cannot write {}: {reason}", .path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// A result file could not be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// The device cannot be used.
    #[error("device `{device}`: {reason}")]
    Device {
        /// The device as named.
        device: String,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// A problem's settings do not fit together.
    #[error("{message}")]
    Problem {
        /// What is wrong, naming the key.
        message: String,
    },

    /// A plan cannot be run by this program, here.
    #[error("plan {}: {reason}", .path.display())]
    Plan {
        /// The plan's file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// A plan's report lacks runs that are still to be made.
    #[error("{done} of {total} runs are in the report; `bench-runner status {}` shows the others", .plan.display())]
    Unfinished {
        /// The plan's file.
        plan: PathBuf,
        /// Runs in the report.
        done: usize,
        /// Planned runs.
        total: usize,
    },

    /// The scheduler is missing, or refused.
    #[error("{command}: {reason}")]
    Scheduler {
        /// What was called.
        command: String,
        /// What it said, and what to do.
        reason: String,
    },

    /// The report could not be written.
    #[error(transparent)]
    Report(#[from] crate::report::Error),

    /// Data is missing or damaged.
    #[error(transparent)]
    Data(#[from] crate::data::Error),

    /// An optimizer refused its settings or failed.
    #[error(transparent)]
    Optim(#[from] optim::Error),

    /// A statistic is not defined.
    #[error(transparent)]
    Stats(#[from] crate::stats::Error),

    /// A model refused its settings.
    #[error(transparent)]
    Model(#[from] models::Error),

    /// Candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),

    /// Two stores hold different numbers for the same run.
    #[error(
        "{} and {} should hold the same run and do not; remove the wrong one",
        .first.display(),
        .second.display()
    )]
    StoresDiffer {
        /// The file in the first store.
        first: PathBuf,
        /// The file in the second store.
        second: PathBuf,
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

    /// The user stopped the sweep.
    #[error(
        "interrupted: {done} of {total} runs are complete; the same command goes on from there"
    )]
    Interrupted {
        /// Complete runs.
        done: usize,
        /// Planned runs.
        total: usize,
    },
}

/// The result of every command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The process's exit code: 1 a run failed, 2 wrong use of the command line, 3 invalid
    /// experiment file, 4 unreadable or unwritable file, 5 unusable device, 6 missing or damaged
    /// data, 7 missing or refusing scheduler, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownName { .. } | Self::Flag { .. } => 2,
            Self::Spec(_) | Self::Catalogue(_) | Self::Problem { .. } | Self::Plan { .. } => 3,
            Self::Output { .. } | Self::Input { .. } | Self::Report(_) => 4,
            Self::Device { .. } => 5,
            Self::Data(_) | Self::FiguresSkipped { .. } => 6,
            Self::Scheduler { .. } => 7,
            Self::Interrupted { .. } => 130,
            Self::Optim(_)
            | Self::Stats(_)
            | Self::Model(_)
            | Self::Candle(_)
            | Self::StoresDiffer { .. }
            | Self::Unfinished { .. }
            | Self::ReferenceDiffers { .. }
            | Self::ClaimsMoved { .. }
            | Self::ReplayDiffers { .. }
            | Self::Browser { .. }
            | Self::RunsFailed { .. } => 1,
        }
    }
}

/// The known name that is nearest to `name`, if one is near.
pub(crate) fn nearest<'a>(known: &'a [String], name: &str) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, name), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        .min()
        .map(|(_, candidate)| candidate.as_str())
}

/// "; did you mean `x`?" or the list of known names, for the end of an error message.
pub(crate) fn suggestion(known: &[String], name: &str) -> String {
    match nearest(known, name) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None => format!("; known: {}", known.join(", ")),
    }
}
