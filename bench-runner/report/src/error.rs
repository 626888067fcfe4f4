//! What can go wrong when something is drawn or written for people.

use std::path::{Path, PathBuf};

use bench_data::suggestion::suggestion;

use crate::figure;

/// The error of writing a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A chart could not be drawn or written.
    #[error(transparent)]
    Figure(#[from] figure::Error),

    /// The system refused an operation on a file or folder.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was attempted, for example `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// A picture could not be written as PNG.
    #[error("cannot write {}: {source}", .path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },

    /// The embedded font cannot be read.
    #[error("the embedded font: {0}")]
    Font(#[from] ab_glyph::InvalidFont),

    /// A catalogue of figures is not the TOML that it should be.
    #[error("{}: {source}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },

    /// A catalogue of figures is not valid.
    #[error("{}: {entry}: {reason}", .path.display())]
    Catalogue {
        /// The file.
        path: PathBuf,
        /// The figure, or the part of the file.
        entry: String,
        /// What is wrong, with the key, and what would be right.
        reason: String,
    },

    /// A generated passage of a document cannot be made.
    #[error("line {line}: {reason}")]
    Passage {
        /// Where it begins.
        line: usize,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// Measurements of speed cannot be shown.
    #[error("{}: {reason}", path.display())]
    Measurements {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// Results cannot be read.
    #[error(transparent)]
    Results(#[from] bench_experiment::Error),

    /// No figure has this id.
    #[error("unknown figure `{name}`{}", suggestion(.known, .name))]
    UnknownFigure {
        /// The id given.
        name: String,
        /// The ids that exist.
        known: Vec<String>,
    },

    /// The HTML template could not be filled in.
    #[error("cannot make the HTML report: {0}")]
    Template(#[from] minijinja::Error),

    /// The results could not be written as JSON.
    #[error("cannot put the results into the HTML report: {0}")]
    Json(#[from] serde_json::Error),
}

/// The result of writing a report.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
}
