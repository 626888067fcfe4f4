//! Second-order optimization from gradients alone: L-BFGS and the curvature pairs it remembers.

mod config;
mod direction;
mod history;
mod lbfgs;

pub use config::{
    CurvatureGuard, EvaluationLimit, HistoryPrecision, InitialScaling, LbfgsConfig, PairSource,
};
pub use lbfgs::{Lbfgs, LbfgsCounts};
