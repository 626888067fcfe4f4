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
mod options;
mod pass;
pub mod physics;
mod precision;
mod spec;
mod summary;
mod tensors;
#[cfg(test)]
mod testing;
pub mod vision;
mod weights;

pub use error::{Error, Result};
pub use init::{Init, Scope};
pub use model::Model;
pub use pass::Pass;
pub use spec::ModelSpec;
pub use summary::{LayerSummary, Summary};
pub use tensors::Tensors;
