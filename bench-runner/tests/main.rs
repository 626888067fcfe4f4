//! The crate and its program from the outside. One binary, since each would link everything again: to run a
//! part, name its module (`cargo test -p bench-runner --test integration cli::`).
#![allow(clippy::unwrap_used)]

/// Made-up results with known comparisons.
mod special;
/// Made-up results of few runs.
mod synthetic;

/// Calls of the program, and what they leave.
mod program;
/// A stand-in for the hub, and data files.
mod support;

mod browser;
mod checkpoint;
mod claims;
mod cli;
mod data_embedded;
mod data_files;
mod data_hub;
mod data_processes;
mod data_text;
mod device;
mod figures;
mod plan;
mod report;
mod slurm;
mod stats;
mod steps;
