//! Families of functions of any size.

use bench_functions::{TestFunction, scalable};
use serde::{Deserialize, Serialize};

use super::listed::{Listed, members};
use super::steps::{Steps, per_epoch};
use crate::settings::Kind;

/// A function of a scalable family in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalableConfig {
    /// Which family.
    pub function: String,
    /// The dimension.
    pub dimension: usize,
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    #[serde(default)]
    pub noise: f64,
    /// Steps that count as an epoch, for criteria in epochs.
    #[serde(default = "per_epoch")]
    pub steps_per_epoch: u64,
}

impl Kind for ScalableConfig {
    const NAME: &'static str = "scalable";
    const ABOUT: &'static str = "a function of any size, from 2 to 10,000 variables:";

    fn members() -> Vec<(String, String)> {
        members::<Self>()
    }
}

impl Listed for ScalableConfig {
    const GROUP: &'static str = "scalable families";
    const FUNCTIONS: &'static [&'static TestFunction] = scalable::FUNCTIONS;

    fn name(&self) -> &str {
        &self.function
    }

    fn dimension(&self) -> Option<usize> {
        Some(self.dimension)
    }

    fn steps(&self) -> Steps {
        Steps {
            noise: self.noise,
            per_epoch: self.steps_per_epoch,
        }
    }
}
