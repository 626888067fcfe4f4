//! Results on disk and in memory.

mod manifest;
mod results;

pub use manifest::Manifest;
pub use results::{OptimizerInfo, ProblemInfo, Results};
