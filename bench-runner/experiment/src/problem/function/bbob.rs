//! The 24 noiseless functions of COCO.

use bench_functions::{Function, TestFunction, bbob};
use bench_stats::random::{Stream, stream, unit};
use serde::{Deserialize, Serialize};

use super::listed::{Listed, members};
use super::steps::{Steps, per_epoch};
use crate::settings::Kind;

/// A function of COCO's suite `bbob` in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BbobConfig {
    /// Which function, `f1` to `f24`.
    pub function: String,
    /// The dimension.
    pub dimension: usize,
    /// The instance: its shift, its rotations and the value of its minimum.
    #[serde(default = "one")]
    pub instance: u64,
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    #[serde(default)]
    pub noise: f64,
    /// Steps that count as an epoch, for criteria in epochs.
    #[serde(default = "per_epoch")]
    pub steps_per_epoch: u64,
}

fn one() -> u64 {
    1
}

impl Kind for BbobConfig {
    const NAME: &'static str = "bbob";
    const ABOUT: &'static str = "a noiseless function of COCO, with its instances:";

    fn members() -> Vec<(String, String)> {
        members::<Self>()
    }
}

impl Listed for BbobConfig {
    const GROUP: &'static str = "BBOB";
    const FUNCTIONS: &'static [&'static TestFunction] = bbob::FUNCTIONS;

    fn name(&self) -> &str {
        &self.function
    }

    fn dimension(&self) -> Option<usize> {
        Some(self.dimension)
    }

    fn instance(&self) -> u64 {
        self.instance
    }

    fn steps(&self) -> Steps {
        Steps {
            noise: self.noise,
            per_epoch: self.steps_per_epoch,
        }
    }

    /// Uniform in [−4, 4]ᵈ, as COCO's example experiments start; the same for all functions and
    /// instances.
    fn start(&self, function: &Function, seed: u64) -> Vec<f64> {
        let mut generator = stream(seed, Stream::Init, 0);
        let coordinate = |_| 8.0 * unit(&mut generator) - 4.0;
        (0..function.dimension()).map(coordinate).collect()
    }

    fn title_of_own(&self) -> String {
        format!(", instance {}", self.instance)
    }
}
