//! Convex quadratics with a chosen condition number.

use bench_functions::classic;
use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::invalid::invalid;
use super::listed::ABOVE_MINIMUM;
use super::problem::FunctionProblem;
use super::steps::{Steps, check_size, per_epoch};
use crate::error::Result;
use crate::problem::start::shifted;
use crate::problem::traits::{Draw, Environment, Problem, ProblemSettings};
use crate::settings::{Invalid, Kind};

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
    #[serde(default = "per_epoch")]
    pub steps_per_epoch: u64,
}

impl QuadraticConfig {
    /// The quadratic, started at distance √d from its minimum, or for seeds other than 0 near that
    /// point.
    ///
    /// # Errors
    /// When a setting cannot be used, or the device refuses the parameters.
    pub fn problem(&self, seed: u64, device: &Device) -> Result<FunctionProblem> {
        self.check()?;
        let function = classic::quadratic(self.dimension, self.condition).map_err(invalid)?;
        let start = shifted(function.start.clone(), seed);
        FunctionProblem::new(function, start, self.steps(), seed, device)
    }

    fn steps(&self) -> Steps {
        Steps {
            noise: self.noise,
            per_epoch: self.steps_per_epoch,
        }
    }
}

impl Kind for QuadraticConfig {
    const NAME: &'static str = "quadratic";
    const ABOUT: &'static str =
        "convex quadratic with a chosen condition number and gradient noise";
}

impl ProblemSettings for QuadraticConfig {
    fn check(&self) -> Result<(), Invalid> {
        check_size(self.dimension)?;
        classic::check_quadratic(self.dimension, self.condition).map_err(invalid)?;
        self.steps().check()
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        Ok(Box::new(self.problem(draw.seed, &environment.device)?))
    }

    fn title(&self) -> String {
        format!(
            "Quadratic, {}-D, condition number {:e}{}",
            self.dimension,
            self.condition,
            self.steps().title()
        )
    }

    fn loss_name(&self) -> &'static str {
        ABOVE_MINIMUM
    }
}
