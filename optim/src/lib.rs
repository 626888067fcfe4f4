//! FUSE, FUSE-PV and their parts for [Candle](candle_core): SGD, Adam and L-BFGS.

mod check;
mod clip;
mod error;
mod first_order;
mod fuse;
mod kernels;
mod line_search;
mod objective;
mod optimizer;
mod params;
mod schedule;
mod second_order;
pub mod state;

pub use clip::{Clip, Clipped};
pub use error::{Error, Result};
pub use first_order::{
    Adam, AdamConfig, AdamSgd, AdamSgdConfig, EpsilonPlacement, ParameterGroup, Sgd, SgdConfig,
    SwitchAt, WeightDecay,
};
pub use fuse::{
    Criterion, CriterionRecord, Fuse, FuseConfig, FusePv, FusePvConfig, Handover, Policy, Switch,
    Theta, WarmUp,
};
pub use line_search::LineSearch;
pub use objective::{Counts, Loss, Meter, Objective, Oracle};
pub use optimizer::{Optimizer, Phase, Step, StopReason, VectorPasses};
pub use params::{Gradient, Parameters};
pub use schedule::{Schedule, Scheduled};
pub use second_order::{
    CurvatureGuard, EvaluationLimit, HistoryPrecision, InitialScaling, Lbfgs, LbfgsConfig,
    LbfgsCounts, PairCounts, PairSource,
};
