//! FUSE, FUSE-PV and their parts for [Candle](candle_core): SGD, Adam and L-BFGS.

mod check;
mod error;
mod first_order;
mod kernels;
mod objective;
mod optimizer;
mod params;
pub mod state;

pub use error::{Error, Result};
pub use first_order::{
    Adam, AdamConfig, AdamSgd, AdamSgdConfig, EpsilonPlacement, ParameterGroup, Sgd, SgdConfig,
    SwitchAt, WeightDecay,
};
pub use objective::{Counts, Loss, Meter, Objective, Oracle};
pub use optimizer::{Optimizer, Phase, Step, StopReason, VectorPasses};
pub use params::{Gradient, Parameters};
