//! Adam first, SGD from a fixed point on.

use serde::{Deserialize, Serialize};

use super::adam::{Adam, AdamConfig};
use super::elementwise::gradient_step;
use super::sgd::{Sgd, SgdConfig};
use crate::check;
use crate::error::Result;
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::{Gradient, Parameters};
use crate::record::{Phase, Step, VectorPasses};
use crate::state::State;

/// Settings of [`AdamSgd`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamSgdConfig {
    /// When SGD takes over.
    pub switch_at: SwitchAt,
    /// Settings of the first method.
    #[serde(default)]
    pub adam: AdamConfig,
    /// Settings of the second method.
    #[serde(default)]
    pub sgd: SgdConfig,
}

/// When SGD takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwitchAt {
    /// After this many steps.
    Step(u64),
    /// When this epoch begins, counted from 0.
    Epoch(u64),
}

impl AdamSgdConfig {
    /// Default settings of both methods, switching at `switch_at`.
    pub fn new(switch_at: SwitchAt) -> Self {
        Self {
            switch_at,
            adam: AdamConfig::default(),
            sgd: SgdConfig::default(),
        }
    }

    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of
    /// steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.adam = self.adam.with_budget(evaluations);
        self.sgd = self.sgd.with_budget(evaluations);
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a group's pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<AdamSgd> {
        check::positive("adam.learning_rate", self.adam.learning_rate)?;
        Ok(AdamSgd {
            rate_ratio: self.sgd.learning_rate / self.adam.learning_rate,
            adam: self.adam.build(parameters)?,
            sgd: self.sgd.build(parameters)?,
            switch_at: self.switch_at,
            epoch: 0,
            steps: 0,
        })
    }
}

/// Adam until a fixed step or epoch, then SGD: the "Adam+SGD" baseline of the FUSE comparison, and
/// the simplest form of Keskar & Socher, "Improving Generalization Performance by Switching from
/// Adam to SGD" (arXiv 1712.07628).
///
/// Its learning rate is Adam's; SGD's keeps the configured ratio to it.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{AdamSgdConfig, Loss, Meter, Optimizer, Oracle, Parameters, SwitchAt};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut optimizer = AdamSgdConfig::new(SwitchAt::Step(1)).build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// let after_adam = x.to_vec1::<f64>()?[0];
/// optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// assert_eq!(x.to_vec1::<f64>()?[0], after_adam - 0.01 * 2.0 * after_adam);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AdamSgd {
    switch_at: SwitchAt,
    rate_ratio: f64,
    adam: Adam,
    sgd: Sgd,
    epoch: u64,
    steps: u64,
}

impl AdamSgd {
    const KIND: &str = "adam-sgd";

    /// Whether the next update is SGD's.
    pub fn has_switched(&self) -> bool {
        match self.switch_at {
            SwitchAt::Step(step) => self.steps >= step,
            SwitchAt::Epoch(epoch) => self.epoch >= epoch,
        }
    }

    /// Makes one update from `gradient` without evaluating the objective; returns the gradient's
    /// Euclidean norm.
    ///
    /// # Errors
    /// When the gradient does not fit the parameters.
    pub fn update(&mut self, gradient: &Gradient) -> Result<f64> {
        let norm = if self.has_switched() {
            self.sgd.update(gradient)?
        } else {
            self.adam.update(gradient)?
        };
        self.steps += 1;
        Ok(norm)
    }
}

impl Optimizer for AdamSgd {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let (step, _) = gradient_step(oracle, |gradient| self.update(gradient))?;
        Ok(step)
    }

    fn start_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    fn parameters(&self) -> &Parameters {
        self.adam.parameters()
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.adam.set_learning_rate(learning_rate)?;
        self.sgd.set_learning_rate(learning_rate * self.rate_ratio)
    }

    fn phase(&self) -> Phase {
        Phase::FirstOrder
    }

    fn state_elements(&self) -> u64 {
        self.adam.state_elements() + self.sgd.state_elements()
    }

    fn vector_passes(&self) -> VectorPasses {
        let mut passes = self.adam.vector_passes();
        passes += self.sgd.vector_passes();
        passes
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, self.parameters());
        state.set_config(&self.switch_at)?;
        state.set("epoch", self.epoch)?;
        state.set("steps", self.steps)?;
        state.nest("adam", self.adam.state()?);
        state.nest("sgd", self.sgd.state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, self.parameters())?;
        state.check_config(&self.switch_at)?;
        let (epoch, steps) = (state.get("epoch")?, state.get("steps")?);
        self.adam.restore(&state.nested("adam")?)?;
        self.sgd.restore(&state.nested("sgd")?)?;
        (self.epoch, self.steps) = (epoch, steps);
        Ok(())
    }
}
