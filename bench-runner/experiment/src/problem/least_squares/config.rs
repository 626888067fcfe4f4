//! Smooth least squares in experiment files.

use bench_data::{Catalogue, Library};
use candle_core::{DType, Device, Tensor};
use models::{Scope, Summary};
use serde::{Deserialize, Serialize};

use super::problem::LeastSquaresProblem;
use super::task::Task;
use crate::error::Result;
use crate::problem::precision::Precision;
use crate::problem::traits::{Draw, Environment, Problem, ProblemSettings};
use crate::settings::{Invalid, Kind};

/// Smooth least squares in an experiment file: f(θ) = (1/n) Σᵢ ½ ‖y(θ, xᵢ) − yᵢ‖², over all samples at
/// every step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeastSquaresConfig {
    /// What is fitted to what.
    pub task: Task,
    /// The number format of parameters, activations and gradients.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl Kind for LeastSquaresConfig {
    const NAME: &'static str = "least-squares";
    const ABOUT: &'static str =
        "a network or a matrix product fitted to all samples at once, smooth and without noise";
}

impl ProblemSettings for LeastSquaresConfig {
    fn check(&self) -> Result<(), Invalid> {
        self.task.check()
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        Ok(Box::new(LeastSquaresProblem::new(
            &self.task,
            self.precision,
            draw.seed,
            environment,
        )?))
    }

    fn title(&self) -> String {
        self.precision.title(self.task.fit().title())
    }

    fn group(&self) -> Option<String> {
        Some(self.task.name().to_owned())
    }

    fn loss_name(&self) -> &'static str {
        match self.task.fit().minimum() {
            Some(_) => "f(x) − f*",
            None => "half the squared error per sample",
        }
    }

    fn describe(&self, _: &Catalogue) -> Result<Option<Summary>> {
        let task = self.task.fit();
        let model = task.model(&Scope::new(0, DType::F32, &Device::Cpu))?;
        let input = Tensor::zeros((1, task.inputs()), DType::F32, &Device::Cpu)?;
        Ok(Some(Summary::new(&*model, &input)?))
    }

    fn data(&self) -> Vec<String> {
        self.task
            .fit()
            .data()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    fn data_sha256(&self, name: &str, library: &Library) -> Result<String> {
        Ok(library.images(name)?.sha256())
    }
}
