//! FUSE, FUSE-PV and their parts for [Candle](candle_core): SGD, Adam and L-BFGS.

mod error;
mod objective;
mod optimizer;
mod params;
pub mod state;

pub use error::{Error, Result};
pub use objective::{Counts, Loss, Meter, Objective, Oracle};
pub use optimizer::{Optimizer, Phase, Step, StopReason, VectorPasses};
pub use params::{Gradient, Parameters};
