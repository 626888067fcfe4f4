//! Second-order optimization from gradients alone: L-BFGS and the curvature pairs it remembers.

mod config;
mod direction;
mod history;
mod lbfgs;
mod momentum;
mod noise;

pub use config::{
    CurvatureGuard, EvaluationLimit, HistoryPrecision, InitialScaling, LbfgsConfig, Noise,
    PairSource, Tolerances,
};
pub use lbfgs::{Lbfgs, LbfgsCounts};
pub use momentum::{MomentumLbfgs, MomentumLbfgsConfig};
