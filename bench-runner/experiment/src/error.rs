//! What can go wrong with an experiment.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use bench_data::suggestion::suggestion;

use crate::settings::Invalid;
use crate::spec::SpecError;

/// The result of every fallible operation on experiments.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of an operation that can fail in ways of its own.
pub type Source = Box<dyn StdError + Send + Sync>;

/// The error of every fallible operation on experiments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An experiment file is not valid.
    #[error(transparent)]
    Spec(#[from] SpecError),

    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] Invalid),

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

    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was attempted, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// A store cannot be written to.
    #[error(
        "{source}; what is not stored stays to be run: make room or name a writable --store, then start again"
    )]
    Store {
        /// Why.
        source: Box<Error>,
    },

    /// A folder is not a store of runs, so that nothing in it may be removed.
    #[error(
        "{} is not a store: it holds {} and no file `bench-runner-store`; nothing was removed",
        .folder.display(),
        .foreign.display()
    )]
    NotAStore {
        /// The folder.
        folder: PathBuf,
        /// What a store does not hold.
        foreign: PathBuf,
    },

    /// A file does not hold what it should.
    #[error("cannot read {}: {source}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Source,
    },

    /// Something cannot be written down in a file's format.
    #[error("{what} cannot be written down: {source}")]
    Unwritable {
        /// What.
        what: String,
        /// Why.
        source: Source,
    },

    /// A problem's state does not hold all that the problem needs to go on.
    #[error("the state has no `{name}`")]
    StateLacks {
        /// The entry.
        name: String,
    },

    /// A device cannot be used.
    #[error("device `{device}`: {reason}")]
    Device {
        /// The device as named.
        device: String,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// The threads of a run could not be made.
    #[error("cannot make {threads} threads: {source}")]
    Threads {
        /// How many.
        threads: usize,
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },

    /// A plan cannot be run by this program, here.
    #[error("plan {}: {reason}", .path.display())]
    Plan {
        /// The plan's file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// The scheduler is missing, or refused.
    #[error("{command}: {reason}")]
    Scheduler {
        /// What was called.
        command: String,
        /// What it said, and what to do.
        reason: String,
    },

    /// The scheduler allows only smaller job arrays.
    #[error(
        "this Slurm allows {most} tasks in an array, not {shards} (MaxArraySize in slurm.conf): use {most} or fewer; \
         each task then makes more runs"
    )]
    TooManyTasks {
        /// Tasks asked for.
        shards: usize,
        /// Tasks allowed.
        most: usize,
    },

    /// A measurement was asked for of a problem that does not have what it takes.
    #[error("`{problem}`: {needs}")]
    Unfit {
        /// The problem's label.
        problem: String,
        /// What the measurement needs.
        needs: &'static str,
    },

    /// A problem's samples do not fit its network.
    #[error("`{problem}`: {source}")]
    Misfit {
        /// The problem's label.
        problem: String,
        /// Why.
        source: Box<Error>,
    },

    /// A recorded run was made with other data.
    #[error("{run}: the data of `{name}` have SHA-256 {sha256}; the recorded run had others")]
    OtherData {
        /// The run.
        run: String,
        /// The dataset.
        name: String,
        /// Its hash here.
        sha256: String,
    },

    /// No run, or more than one, answers to the beginning of an address or digest.
    #[error("`{id}`: {found} begins with it in {}", .place.display())]
    NotOneRun {
        /// The beginning.
        id: String,
        /// What was found.
        found: &'static str,
        /// The store or report.
        place: PathBuf,
    },

    /// A run failed.
    #[error("{run} failed: {reason}")]
    RunFailed {
        /// The run.
        run: String,
        /// Why.
        reason: String,
    },

    /// The user stopped the work.
    #[error(
        "interrupted: {done} of {total} runs are complete; the same command goes on from there"
    )]
    Interrupted {
        /// Complete runs.
        done: usize,
        /// Planned runs.
        total: usize,
    },

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

    /// Data is missing or damaged.
    #[error(transparent)]
    Data(#[from] bench_data::Error),

    /// An optimizer refused its settings or failed.
    #[error(transparent)]
    Optim(#[from] optim::Error),

    /// A model refused its settings.
    #[error(transparent)]
    Model(#[from] models::Error),

    /// Candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Names the file and the attempted operation of a system error.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Names the file that does not hold what it should.
    pub fn damaged<E: Into<Source>>(path: impl AsRef<Path>) -> impl FnOnce(E) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Damaged {
            path,
            source: source.into(),
        }
    }

    /// A name that is none of `known`.
    pub fn unknown<'a>(
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Self {
        Self::UnknownName {
            what,
            name: name.into(),
            known: known.cloned().collect(),
        }
    }
}

/// An error's text without the frames of a backtrace, which Candle appends where `RUST_BACKTRACE` asks
/// for one: results say the same in every environment.
pub(crate) fn without_backtrace(text: &str) -> String {
    // `Backtrace` writes lines `   0: function` and `             at file:line:column`.
    let is_frame = |line: &str| {
        let rest = line.trim_start();
        let numbered = rest.split_once(": ").is_some_and(|(number, _)| {
            !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
        });
        rest.len() < line.len() && (numbered || rest.starts_with("at "))
    };
    let lines: Vec<&str> = text.lines().filter(|line| !is_frame(line)).collect();
    lines.join("\n")
}
