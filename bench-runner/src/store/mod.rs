//! Results on disk and in memory.

mod cells;
mod manifest;
mod parquet;
mod results;

pub(crate) use cells::{CODE, write_whole};
pub use cells::{CellStore, Origin, StoredRun};
pub(crate) use manifest::instruction_sets;
pub use manifest::{Circumstances, Manifest};
pub use parquet::{SCHEMA_VERSION, read, write};
pub use results::{OptimizerInfo, OptimizerVariant, ProblemInfo, Results};
