//! Results on disk and in memory.

mod manifest;
mod parquet;
mod results;

pub use manifest::{Circumstances, Manifest};
pub use parquet::{SCHEMA_VERSION, read, write};
pub use results::{OptimizerInfo, ProblemInfo, Results};
