//! What probes share: how optimizers are made, and the problems that they are tried on.

use candle_core::Device;
use optim::{Optimizer, Parameters};

use crate::error::Result;
use crate::optimizer::OptimizerConfig;
use crate::problem::{FunctionProblem, QuadraticConfig};

/// Seeds of each probe.
pub(super) const SEEDS: u64 = 10;

/// How optimizers are made of their settings: as the settings say, or otherwise in a check of a check.
pub type Build<'a> =
    &'a (dyn Fn(&OptimizerConfig, &Parameters) -> optim::Result<Box<dyn Optimizer>> + Sync);

pub(super) fn quadratic(dimension: usize, condition: f64, noise: f64) -> QuadraticConfig {
    QuadraticConfig {
        dimension,
        condition,
        noise,
        steps_per_epoch: 10,
    }
}

/// A quadratic of 10 variables, from the start of a seed.
pub(super) fn problem(condition: f64, noise: f64, seed: u64) -> Result<FunctionProblem> {
    quadratic(10, condition, noise).problem(seed, &Device::Cpu)
}
