//! Adam with batches that grow at a fixed point.

use serde::{Deserialize, Serialize};

use super::adam::{Adam, AdamConfig};
use crate::check;
use crate::error::Result;
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::Parameters;
use crate::record::{Phase, Step, VectorPasses};
use crate::schedule::Length;
use crate::state::State;

/// Settings of [`GrowingAdam`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowingAdamConfig {
    /// The step from which batches are larger.
    pub at: Length,
    /// Samples that each batch should have at least from there on.
    pub samples: u64,
    /// Settings of Adam, whose rate must be constant: a larger batch buys fewer steps, so that no schedule would fit.
    #[serde(default)]
    pub adam: AdamConfig,
}

impl GrowingAdamConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.at = self.at.with_budget(evaluations);
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a group's pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<GrowingAdam> {
        self.at.check("at")?;
        check::that(self.samples > 0, "samples", self.samples, "at least 1")?;
        let constant = self.adam.schedule.is_constant();
        check::that(constant, "adam.schedule", "a schedule", "none")?;
        Ok(GrowingAdam {
            adam: self.adam.build(parameters)?,
            at: self.at.steps(),
            samples: self.samples,
            steps: 0,
        })
    }
}

/// Adam that asks for larger batches from a fixed step on ([`samples_wanted`](Optimizer::samples_wanted)), at the same
/// rate. Larger batches lower the noise of a step as a lower rate does: Smith, Kindermans, Ying & Le, "Don't Decay the
/// Learning Rate, Increase the Batch Size" (arXiv 1711.00489). Beside a switch to L-BFGS with larger batches it shows what
/// the batches do alone.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{AdamConfig, GrowingAdamConfig, Loss, Meter, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let config = GrowingAdamConfig { at: 1.into(), samples: 512, adam: AdamConfig::default() };
/// let mut optimizer = config.build(&parameters)?;
/// assert_eq!(optimizer.samples_wanted(), None);
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// optimizer.step(&mut Oracle::new(&mut objective, &mut Meter::new()))?;
/// assert_eq!(optimizer.samples_wanted(), Some(512));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GrowingAdam {
    adam: Adam,
    at: u64,
    samples: u64,
    steps: u64,
}

impl GrowingAdam {
    const KIND: &str = "growing-adam";
}

impl Optimizer for GrowingAdam {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let step = self.adam.step(oracle)?;
        self.steps += 1;
        Ok(step)
    }

    fn parameters(&self) -> &Parameters {
        self.adam.parameters()
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.adam.set_learning_rate(learning_rate)
    }

    fn phase(&self) -> Phase {
        Phase::FirstOrder
    }

    fn state_elements(&self) -> u64 {
        self.adam.state_elements()
    }

    fn vector_passes(&self) -> VectorPasses {
        self.adam.vector_passes()
    }

    fn samples_wanted(&self) -> Option<u64> {
        (self.steps >= self.at).then_some(self.samples)
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, self.parameters());
        state.set_config(&(self.at, self.samples))?;
        state.set("steps", self.steps)?;
        state.nest("adam", self.adam.state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, self.parameters())?;
        state.check_config(&(self.at, self.samples))?;
        let steps = state.get("steps")?;
        self.adam.restore(&state.nested("adam")?)?;
        self.steps = steps;
        Ok(())
    }
}
