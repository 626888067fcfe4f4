//! What can go wrong with data, each variant naming the file, row, column, key or address at fault
//! and what would be right.

use std::path::{Path, PathBuf};

/// The result of every fallible operation on data.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of every fallible operation on data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Candle refused a tensor operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),

    /// The operating system refused an operation on a file.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was attempted, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// A data file does not hold what it should.
    #[error("{file}{}{}: {problem}", place(" row", *row), column.as_ref().map(|c| format!(" column `{c}`")).unwrap_or_default())]
    Malformed {
        /// The file.
        file: String,
        /// The row (or line, counted from 1, in text files) at fault.
        row: Option<u64>,
        /// The column at fault.
        column: Option<String>,
        /// What is wrong, and what was expected.
        problem: String,
    },

    /// A catalogue file is not valid.
    #[error("{file}:{line}: {problem}")]
    Catalogue {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The key at fault, what is wrong, and what was expected.
        problem: String,
    },

    /// No dataset has this name.
    #[error("unknown dataset `{name}`{}; `bench-runner data list` shows all", nearest.as_ref().map(|n| format!(": did you mean `{n}`?")).unwrap_or_default())]
    UnknownDataset {
        /// The name given.
        name: String,
        /// The most similar name.
        nearest: Option<String>,
    },

    /// A dataset holds something else than asked for.
    #[error("dataset `{name}` holds {found}, expected {expected}")]
    WrongKind {
        /// The dataset.
        name: String,
        /// What it holds.
        found: String,
        /// What was asked for.
        expected: String,
    },

    /// A file could not be downloaded.
    #[error("{url}: {problem}; {advice}")]
    Download {
        /// The address.
        url: String,
        /// What went wrong.
        problem: String,
        /// What to do.
        advice: String,
    },

    /// A setting of a loader is outside its range.
    #[error("{name} = {value} is out of range: expected {expected}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The refused value.
        value: String,
        /// The accepted range, in words.
        expected: String,
    },
}

fn place(what: &str, number: Option<u64>) -> String {
    number.map(|n| format!("{what} {n}")).unwrap_or_default()
}

impl Error {
    /// Names the file and the attempted operation of a system error.
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// A malformed file as a whole.
    pub(crate) fn malformed(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed {
            file: file.into(),
            row: None,
            column: None,
            problem: problem.into(),
        }
    }

    /// A malformed value at one row (or line) of a file.
    pub(crate) fn malformed_row(
        file: impl Into<String>,
        row: u64,
        column: Option<&str>,
        problem: impl Into<String>,
    ) -> Self {
        Self::Malformed {
            file: file.into(),
            row: Some(row),
            column: column.map(Into::into),
            problem: problem.into(),
        }
    }

    /// A setting outside its range.
    pub(crate) fn setting(
        name: &'static str,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Setting {
            name,
            value: value.to_string(),
            expected: expected.into(),
        }
    }
}
