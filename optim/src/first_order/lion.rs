//! Lion: steps of one size along the signs of a momentum.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Method, Pass};
use super::groups::ParameterGroup;
use crate::check;
use crate::error::Result;
use crate::kernels::{LionCoefficients, LionRule};
use crate::params::Parameters;
use crate::schedule::Schedule;

/// Settings of [`Lion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LionConfig {
    /// The learning rate α ≥ 0; the authors advise a third to a tenth of AdamW's.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The weight β1 in [0, 1) of the momentum in the direction of a step.
    pub beta1: f64,
    /// The decay rate β2 in [0, 1) of the momentum.
    pub beta2: f64,
    /// The strength λ ≥ 0 of weight decay, apart from the gradient; the authors advise three to ten
    /// times AdamW's.
    pub weight_decay: f64,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

impl Default for LionConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            schedule: Schedule::default(),
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }
}

impl LionConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of
    /// steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.schedule = self.schedule.with_budget(evaluations);
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a group's pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<Lion> {
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Elementwise::new(self, rate, decay, &groups, parameters)
    }
}

/// Lion: every component moves by the learning rate, along the sign of a blend of momentum and
/// gradient.
///
/// ```text
/// c ← β1·m + (1 - β1)·g
/// x ← (1 - αλ)·x - α·sign(c)
/// m ← β2·m + (1 - β2)·g
/// ```
///
/// The sign of 0 is 0. Source: Chen et al., "Symbolic Discovery of Optimization Algorithms" (arXiv
/// 2302.06675).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{LionConfig, Loss, Meter, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0, 0.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut lion = LionConfig { learning_rate: 0.5, ..LionConfig::default() }.build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// lion.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// assert_eq!(x.to_vec1::<f64>()?, [2.5, -1.5, 0.0]);
/// # Ok(())
/// # }
/// ```
pub type Lion = Elementwise<LionConfig, 1>;

impl Method<1> for LionConfig {
    const KIND: &'static str = "lion";
    const VECTORS: [&'static str; 1] = ["m"];

    fn used(&self) -> [bool; 1] {
        [true]
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn update(&self, mut pass: Pass<'_, 1>) -> Result<f64> {
        let coefficients = pass.groups.iter().map(|group| {
            let rate = (pass.learning_rate * group.learning_rate_factor).min(f64::MAX);
            LionCoefficients {
                blend: 1.0 - self.beta1,
                rate: 1.0 - self.beta2,
                decay: rate * group.weight_decay,
                step_size: rate,
            }
        });
        let rule = LionRule(coefficients.collect());
        Ok(pass.run(&rule)?.norm)
    }
}
