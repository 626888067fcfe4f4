//! How a result set came about: command, code, machine and data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything about a sweep that its numbers may depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this file's layout and of `results.parquet`.
    pub schema_version: u32,
    /// The command line.
    pub command: Vec<String>,
    /// Version of bench-runner.
    pub version: String,
    /// The git revision it was built or run from, with `-dirty` when files differ; empty when unknown.
    pub git_revision: String,
    /// SHA-256 of `Cargo.lock` at build time.
    pub lock_file_sha256: String,
    /// Versions of the Rust compiler and of key libraries.
    pub versions: BTreeMap<String, String>,
    /// The processor's model name and its vector features.
    pub cpu: String,
    /// The operating system and C library.
    pub system: String,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// The device that trained.
    pub device: String,
    /// Threads in all.
    pub threads: usize,
    /// Runs at the same time.
    pub jobs: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// SHA-256 of each dataset used.
    pub data_sha256: BTreeMap<String, String>,
    /// When it started, RFC 3339, UTC.
    pub started: String,
    /// How long it took, in seconds, reports included.
    pub wall_seconds: f64,
    /// The experiment file as it was run, after defaults were filled in.
    pub experiment: String,
    /// Whether all planned runs are in the results.
    pub complete: bool,
}
