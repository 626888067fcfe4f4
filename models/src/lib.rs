//! Neural networks that train on [Candle](candle_core): right gradients, fast CPU kernels.

mod error;
mod init;
mod kernels;
pub mod layer;
pub mod loss;
mod model;
pub mod vision;

pub use error::{Error, Result};
pub use init::{Init, Scope};
pub use model::{Model, Pass, Tensors};
