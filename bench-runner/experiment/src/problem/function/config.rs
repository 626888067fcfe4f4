//! Test functions and quadratics in experiment files.

use bench_data::suggestion::suggestion;
use serde::{Deserialize, Serialize};

use super::list::FUNCTIONS;
use super::test_function::TestFunction;
use crate::settings::Invalid;

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
    #[serde(default = "ten")]
    pub steps_per_epoch: u64,
}

/// A convex quadratic in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuadraticConfig {
    /// The dimension d.
    pub dimension: usize,
    /// The condition number κ ≥ 1; the eigenvalues are spaced geometrically from 1/κ to 1.
    pub condition: f64,
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    #[serde(default)]
    pub noise: f64,
    /// Steps that count as an epoch, for criteria in epochs.
    #[serde(default = "ten")]
    pub steps_per_epoch: u64,
}

fn two() -> usize {
    2
}

fn ten() -> u64 {
    10
}

impl FunctionConfig {
    /// The function, if the name and the numbers are right.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn resolve(&self) -> Result<&'static TestFunction, Invalid> {
        let known: Vec<String> = FUNCTIONS.iter().map(|f| f.name.to_string()).collect();
        let function = FUNCTIONS
            .iter()
            .find(|function| function.name == self.function)
            .ok_or_else(|| {
                let known = suggestion(&known, &self.function);
                Invalid::value(
                    "function",
                    format!("\"{}\"", self.function),
                    format!("unknown{known}"),
                )
            })?;
        if !(function.min_dimension..=function.max_dimension).contains(&self.dimension) {
            let defined = if function.min_dimension == function.max_dimension {
                format!("dimension {}", function.min_dimension)
            } else {
                format!("dimension {} and more", function.min_dimension)
            };
            let reason = format!("{} is defined for {defined}", function.name);
            return Err(Invalid::value("dimension", self.dimension, reason));
        }
        check_noise(self.noise, self.steps_per_epoch)?;
        Ok(function)
    }
}

pub(super) fn check_noise(noise: f64, steps_per_epoch: u64) -> Result<(), Invalid> {
    if !(noise >= 0.0 && noise.is_finite()) {
        let reason = "a finite number of at least 0 is needed";
        return Err(Invalid::value("noise", noise, reason));
    }
    if steps_per_epoch == 0 {
        return Err(Invalid::value("steps_per_epoch", 0, "at least 1 is needed"));
    }
    Ok(())
}
