//! Optimizers in experiment files.
//!
//! To add a kind: give its settings the traits [`Kind`](crate::settings::Kind) and
//! [`OptimizerSettings`], and add it to
//! [`Registry::built_in`](crate::registry::Registry::built_in). A crate of your own does the same
//! without a change here.

mod built_in;
mod traits;

pub use built_in::CRITERIA;
pub use traits::{OptimizerConfig, OptimizerSettings};
