//! Neural networks that train on [Candle](candle_core): right gradients, fast CPU kernels.

mod checkpoint;
pub mod dense;
mod error;
mod init;
mod kernels;
pub mod language;
pub mod layer;
pub mod loss;
mod model;
pub mod physics;
mod spec;
mod summary;
pub mod vision;
mod weights;

pub use error::{Error, Result};
pub use init::{Init, Scope};
pub use model::{Model, Pass, Tensors};
pub use spec::ModelSpec;
pub use summary::{LayerSummary, Summary};
