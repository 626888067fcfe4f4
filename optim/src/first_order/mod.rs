//! Methods that move along gradients alone: SGD, Adam and their sequence.

mod adam;
mod adam_sgd;
mod elementwise;
mod groups;
mod sgd;

pub use adam::{Adam, AdamConfig, EpsilonPlacement, WeightDecay};
pub use adam_sgd::{AdamSgd, AdamSgdConfig, SwitchAt};
pub use elementwise::Elementwise;
pub use groups::ParameterGroup;
pub use sgd::{Sgd, SgdConfig};
