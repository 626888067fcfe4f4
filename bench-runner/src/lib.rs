//! Ablations over switch criteria: from an experiment file to runs, statistics, figures and a report.

pub mod catalogue;
pub mod claims;
pub mod cli;
pub mod data;
pub mod discrepancy;
mod error;
pub mod figure;
pub mod memory;
pub mod probe;
pub mod problem;
pub mod random;
pub mod report;
pub mod run;
pub mod spec;
pub mod stats;
pub mod store;
pub mod sweep;
mod whole;

pub use error::{Error, Result};
