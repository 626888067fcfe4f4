//! What can go wrong when results are analysed.

use std::path::PathBuf;

use bench_data::suggestion::suggestion;

/// The result of every fallible analysis.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of every fallible analysis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of claims cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },

    /// A file of claims is not the TOML that it should be.
    #[error("{}: {source}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },

    /// A claim cannot be judged as it stands.
    #[error("{}: claim `{id}`: {reason}", .path.display())]
    Claim {
        /// The file.
        path: PathBuf,
        /// The claim.
        id: String,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// No claim has this id.
    #[error("unknown claim `{name}`{}", suggestion(.known, .name))]
    UnknownClaim {
        /// The id given.
        name: String,
        /// The ids that exist.
        known: Vec<String>,
    },

    /// A statistic is not defined.
    #[error(transparent)]
    Stats(#[from] bench_stats::Error),
}
