//! Eight functions that every text shows.

use bench_functions::{TestFunction, classic};
use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::listed::{Listed, members, problem};
use super::problem::FunctionProblem;
use super::steps::{Steps, per_epoch};
use crate::error::Result;
use crate::settings::Kind;

/// A test function in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionConfig {
    /// Which function.
    pub function: String,
    /// The dimension.
    #[serde(default = "two")]
    pub dimension: usize,
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    #[serde(default)]
    pub noise: f64,
    /// Steps that count as an epoch, for criteria in epochs.
    #[serde(default = "per_epoch")]
    pub steps_per_epoch: u64,
}

fn two() -> usize {
    2
}

impl FunctionConfig {
    /// The function at its standard start, or for seeds other than 0 at a point near it.
    ///
    /// # Errors
    /// When a setting cannot be used, or the device refuses the parameters.
    pub fn problem(&self, seed: u64, device: &Device) -> Result<FunctionProblem> {
        problem(self, seed, device)
    }
}

impl Kind for FunctionConfig {
    const NAME: &'static str = "function";
    const ABOUT: &'static str = "a test function, with optional gradient noise:";

    fn members() -> Vec<(String, String)> {
        members::<Self>()
    }
}

impl Listed for FunctionConfig {
    const GROUP: &'static str = "classic functions";
    const FUNCTIONS: &'static [&'static TestFunction] = classic::FUNCTIONS;

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
