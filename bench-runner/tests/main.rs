//! The crate and its program from the outside. One binary, since each would link everything again: to run a
//! part, name its module (`cargo test -p bench-runner --test integration cli::`).
#![allow(clippy::unwrap_used)]

/// Made-up results with known comparisons.
mod special;
/// Made-up results of few runs.
mod synthetic;

/// Calls of the program, and what they leave.
mod program;

/// Mutations of files, those that data are tried with.
#[path = "../data/tests/support/mutate.rs"]
mod mutate;

mod advise;
mod architecture;
mod browser;
mod claims;
mod cli;
mod completions;
mod device;
mod figures;
mod headline;
mod import;
mod init;
mod keys;
mod mutation;
mod plan;
mod python;
mod report;
mod robustness;
mod schema;
mod serve;
mod slurm;
mod steps;
