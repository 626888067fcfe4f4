//! Stochastic gradient descent, with momentum.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Method, Pass};
use super::groups::ParameterGroup;
use crate::check;
use crate::error::Result;
use crate::kernels::{SgdCoefficients, SgdRule};
use crate::params::Parameters;
use crate::schedule::Schedule;

/// Settings of [`Sgd`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// The learning rate α ≥ 0.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The momentum μ in [0, 1); 0 keeps no momentum.
    pub momentum: f64,
    /// The dampening τ in [0, 1] of the gradient's entry into the momentum.
    pub dampening: f64,
    /// Whether to look ahead along the momentum (Nesterov); needs momentum and no dampening.
    pub nesterov: bool,
    /// The weight decay λ ≥ 0, added to the gradient as λ·x.
    pub weight_decay: f64,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            schedule: Schedule::default(),
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }
}

impl SgdConfig {
    /// What image classifiers are trained with: Nesterov's momentum of 0.9 and a weight decay of
    /// 5·10⁻⁴, from a learning rate of 0.1.
    pub fn nesterov() -> Self {
        Self {
            learning_rate: 0.1,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 5e-4,
            ..Self::default()
        }
    }

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
    pub fn build(self, parameters: &Parameters) -> Result<Sgd> {
        check::decay_rate("momentum", self.momentum)?;
        check::that(
            (0.0..=1.0).contains(&self.dampening),
            "dampening",
            self.dampening,
            "0 <= value <= 1",
        )?;
        check::that(
            !self.nesterov || (self.momentum > 0.0 && self.dampening == 0.0),
            "nesterov",
            self.nesterov,
            "false, unless momentum > 0 and dampening = 0",
        )?;
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Elementwise::new(self, rate, decay, &groups, parameters)
    }
}

/// Stochastic gradient descent.
///
/// At step t from 1, with gradient g:
///
/// ```text
/// g ← g + λ·x
/// b ← g                      if t = 1
/// b ← μ·b + (1 - τ)·g        otherwise
/// x ← x - α·b                or, with Nesterov's look-ahead, x - α·(g + μ·b)
/// ```
///
/// Without momentum, x ← x - α·g. The form of the momentum is Sutskever et al., "On the importance
/// of initialization and momentum in deep learning" (ICML 2013), with the learning rate outside the
/// momentum, as in PyTorch.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, SgdConfig};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut sgd = SgdConfig { learning_rate: 0.25, ..SgdConfig::default() }.build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// let step = sgd.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// assert_eq!((step.loss, step.gradient_norm), (9.0, 6.0));
/// assert_eq!(x.to_vec1::<f64>()?, [1.5]);
/// # Ok(())
/// # }
/// ```
pub type Sgd = Elementwise<SgdConfig, 1>;

impl Method<1> for SgdConfig {
    const KIND: &'static str = "sgd";
    const VECTORS: [&'static str; 1] = ["momentum"];

    fn used(&self) -> [bool; 1] {
        [self.momentum > 0.0]
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn update(&self, mut pass: Pass<'_, 1>) -> Result<f64> {
        let (first, nesterov) = (pass.step == 0, self.nesterov);
        let coefficients = pass.groups.iter().map(|group| SgdCoefficients {
            l2: group.weight_decay,
            inflow: if first { 1.0 } else { 1.0 - self.dampening },
            outflow: 1.0 - self.momentum,
            own: if nesterov { 1.0 } else { 0.0 },
            carried: if nesterov { self.momentum } else { 1.0 },
            step_size: (pass.learning_rate * group.learning_rate_factor).min(f64::MAX),
        });
        let rule = SgdRule(coefficients.collect());
        Ok(pass.run(&rule)?.norm)
    }
}
