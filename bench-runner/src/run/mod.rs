//! One run: an optimizer on a problem within a budget, measured as it goes.

mod record;

pub use record::{CellId, CurvePoint, Outcome, RunRecord, SwitchPoint};
