//! Results on disk and in memory.

mod cells;
mod imported;
mod manifest;
mod origin;
mod parquet;
mod processor;
mod records;
mod results;
mod stability;
mod tuning;

pub use cells::{CellStore, StoredRun};
pub use imported::{imported_file, read_imported, read_with_imported, write_imported};
pub use manifest::{Circumstances, Manifest};
pub use origin::{CODE, CODE_SOURCES, Origin};
pub use parquet::{SCHEMA_VERSION, read, write};
pub use processor::instruction_sets;
pub use records::Records;
pub use results::{ImportedFrom, OptimizerInfo, OptimizerVariant, ProblemInfo, Results};
pub use stability::{PerturbedRuns, StabilitySummary};
pub use tuning::{Choice, TuningSummary};
