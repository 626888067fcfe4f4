//! Ablations over switch criteria: from an experiment file to runs, statistics, figures and a report.

pub mod data;
pub mod figure;
pub mod random;
pub mod report;
pub mod run;
pub mod stats;
pub mod store;
