//! Second-order optimization from gradients alone: L-BFGS and its memory.

mod direction;
mod history;
mod lbfgs;

pub use history::{CurvatureGuard, HistoryPrecision, InitialScaling, PairCounts};
pub use lbfgs::{EvaluationLimit, Lbfgs, LbfgsConfig, LbfgsCounts, PairSource};
