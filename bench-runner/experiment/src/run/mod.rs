//! Runs: an optimizer on a problem within a budget, measured as it goes.

mod cell;
mod checkpoint;
mod record;
mod start;
mod state;
mod train;

pub use cell::{Cell, CellId, plan};
pub use checkpoint::Checkpoint;
pub use record::{CurvePoint, Outcome, RunRecord, SwitchPoint};
pub use start::{optimizer_of, start};
pub use train::{Event, advance, run};
