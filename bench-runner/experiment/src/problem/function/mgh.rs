//! The 18 problems of Moré, Garbow and Hillstrom (1981).

use bench_functions::{Function, TestFunction, mgh};
use serde::{Deserialize, Serialize};

use super::listed::{Listed, members};
use super::steps::{Steps, per_epoch};
use crate::problem::start::shifted;
use crate::settings::{Invalid, Kind};

/// A problem of Moré, Garbow and Hillstrom in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MghConfig {
    /// Which problem.
    pub function: String,
    /// The dimension; may be left out where the problem has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
    /// The start, in multiples of the standard start: 1, 10 or 100, as in the article.
    #[serde(default = "one")]
    pub start: u32,
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    #[serde(default)]
    pub noise: f64,
    /// Steps that count as an epoch, for criteria in epochs.
    #[serde(default = "per_epoch")]
    pub steps_per_epoch: u64,
}

fn one() -> u32 {
    1
}

impl Kind for MghConfig {
    const NAME: &'static str = "mgh";
    const ABOUT: &'static str = "a problem of Moré, Garbow and Hillstrom (1981):";

    fn members() -> Vec<(String, String)> {
        members::<Self>()
    }
}

impl Listed for MghConfig {
    const GROUP: &'static str = "Moré, Garbow, Hillstrom";
    const FUNCTIONS: &'static [&'static TestFunction] = mgh::FUNCTIONS;

    fn name(&self) -> &str {
        &self.function
    }

    fn dimension(&self) -> Option<usize> {
        self.dimension
    }

    fn steps(&self) -> Steps {
        Steps {
            noise: self.noise,
            per_epoch: self.steps_per_epoch,
        }
    }

    fn check_own(&self) -> Result<(), Invalid> {
        match self.start {
            1 | 10 | 100 => Ok(()),
            other => {
                let reason = "1, 10 or 100 times the standard start is possible";
                Err(Invalid::value("start", other, reason))
            }
        }
    }

    fn start(&self, function: &Function, seed: u64) -> Vec<f64> {
        shifted(function.scaled_start(f64::from(self.start)), seed)
    }

    fn title_of_own(&self) -> String {
        match self.start {
            1 => String::new(),
            factor => format!(", {factor} times the standard start"),
        }
    }
}
