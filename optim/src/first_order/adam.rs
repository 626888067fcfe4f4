//! Adam and its variants: AdamW, AMSGrad and both placements of epsilon.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Method, Pass};
use super::groups::ParameterGroup;
use crate::check;
use crate::error::Result;
use crate::kernels::number::finite_or_zero_tensor;
use crate::kernels::{AdamCoefficients, AdamRule};
use crate::params::{Gradient, Parameters};
use crate::record::VectorPasses;
use crate::schedule::Schedule;

/// Settings of [`Adam`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConfig {
    /// The learning rate α ≥ 0.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The decay rate β1 in [0, 1) of the first moment.
    pub beta1: f64,
    /// The decay rate β2 in [0, 1) of the second moment.
    pub beta2: f64,
    /// The term ε ≥ 0 that bounds the denominator from below.
    pub epsilon: f64,
    /// Where ε is added.
    pub epsilon_placement: EpsilonPlacement,
    /// The strength λ ≥ 0 of weight decay.
    pub weight_decay: f64,
    /// How weight decay enters.
    pub weight_decay_kind: WeightDecay,
    /// Whether to divide by the largest second moment so far (AMSGrad).
    pub amsgrad: bool,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

/// Where Adam adds ε to the denominator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpsilonPlacement {
    /// x ← x - α·m̂ / (√v̂ + ε), with bias-corrected moments: what PyTorch does.
    #[default]
    AfterCorrection,
    /// x ← x - α·√(1 - β2ᵗ)/(1 - β1ᵗ)·m / (√v + ε): the form that Kingma & Ba call more efficient,
    /// and FUSE's. In early steps ε weighs more, by 1/√(1 - β2ᵗ), than with the other placement.
    Uncorrected,
}

/// How weight decay enters Adam's update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightDecay {
    /// λ·x is added to the gradient (L2 regularization), and so scaled by the moments.
    #[default]
    Coupled,
    /// x is multiplied by 1 - αλ, apart from the gradient (AdamW).
    Decoupled,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            epsilon_placement: EpsilonPlacement::default(),
            weight_decay: 0.0,
            weight_decay_kind: WeightDecay::default(),
            amsgrad: false,
            groups: Vec::new(),
        }
    }
}

impl AdamConfig {
    /// AdamW: decoupled weight decay of 0.01.
    pub fn adamw() -> Self {
        Self {
            weight_decay: 1e-2,
            weight_decay_kind: WeightDecay::Decoupled,
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
    pub fn build(self, parameters: &Parameters) -> Result<Adam> {
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        check::non_negative("epsilon", self.epsilon)?;
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Elementwise::new(self, rate, decay, &groups, parameters)
    }
}

/// Adam: steps scaled by running means of the gradient and of its square.
///
/// At step t from 1, with gradient g:
///
/// ```text
/// g ← g + λ·x                                  coupled weight decay
/// m ← β1·m + (1 - β1)·g
/// v ← β2·v + (1 - β2)·g²
/// x ← (1 - αλ)·x                               decoupled weight decay
/// x ← x - α·m/(1 - β1ᵗ) / (√(v/(1 - β2ᵗ)) + ε)
/// ```
///
/// [`EpsilonPlacement`] gives the other form of the last line. AMSGrad puts the largest v so far in
/// v's place there.
///
/// Sources: Kingma & Ba, "Adam: A Method for Stochastic Optimization" (arXiv 1412.6980); Loshchilov
/// & Hutter, "Decoupled Weight Decay Regularization" (arXiv 1711.05101); Reddi, Kale & Kumar, "On
/// the Convergence of Adam and Beyond" (arXiv 1904.09237).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{AdamConfig, Loss, Meter, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut adam = AdamConfig { learning_rate: 0.5, ..AdamConfig::default() }.build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// let step = adam.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// assert_eq!(step.loss, 13.0);
/// // Adam's first step has the length of the learning rate in every component.
/// let x = x.to_vec1::<f64>()?;
/// assert!((x[0] - 2.5).abs() < 1e-8 && (x[1] + 1.5).abs() < 1e-8);
/// # Ok(())
/// # }
/// ```
pub type Adam = Elementwise<AdamConfig, 3>;

impl Method<3> for AdamConfig {
    const KIND: &'static str = "adam";
    const VECTORS: [&'static str; 3] = ["m", "v", "v_max"];

    fn used(&self) -> [bool; 3] {
        [true, true, self.amsgrad]
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn update(&self, mut pass: Pass<'_, 3>) -> Result<f64> {
        let t = (pass.step + 1) as f64;
        let correction1 = 1.0 - self.beta1.powf(t);
        let root_correction2 = (1.0 - self.beta2.powf(t)).sqrt();
        let coefficients = pass.groups.iter().map(|group| {
            let rate = (pass.learning_rate * group.learning_rate_factor).min(f64::MAX);
            let (l2, decay) = match self.weight_decay_kind {
                WeightDecay::Coupled => (group.weight_decay, 0.0),
                WeightDecay::Decoupled => (0.0, rate * group.weight_decay),
            };
            let (step_size, scale) = match self.epsilon_placement {
                EpsilonPlacement::AfterCorrection => (rate / correction1, 1.0 / root_correction2),
                EpsilonPlacement::Uncorrected => (rate * root_correction2 / correction1, 1.0),
            };
            AdamCoefficients {
                l2,
                rate1: 1.0 - self.beta1,
                rate2: 1.0 - self.beta2,
                decay,
                own: 0.0,
                carried: 1.0,
                step_size,
                scale,
                epsilon: self.epsilon,
            }
        });
        let rule = AdamRule(coefficients.collect());
        Ok(pass.run(&rule)?.norm)
    }
}

impl Adam {
    /// The Euclidean norm of m, without bias correction.
    pub(crate) fn first_moment_norm(&mut self) -> Result<f64> {
        self.passes += VectorPasses {
            reads: 1,
            writes: 0,
        };
        self.vectors.norm(0)
    }

    /// 1/(√v̂ + ε), what Adam multiplies its step with, one tensor per parameter; nothing before
    /// the first step. It is 0 where √v̂ + ε is 0: Adam makes no step there.
    pub(crate) fn preconditioner(&self) -> Result<Option<Gradient>> {
        if self.steps == 0 {
            return Ok(None);
        }
        let correction = 1.0 - self.config.beta2.powf(self.steps as f64);
        // v, or with AMSGrad the largest v so far.
        let index = if self.config.amsgrad { 2 } else { 1 };
        let second = self.vectors.export(self.parameters.vars(), index)?;
        let tensors = second
            .iter()
            .map(|v| {
                let denominator = ((v / correction)?.sqrt()? + self.config.epsilon)?;
                finite_or_zero_tensor(&denominator.recip()?)
            })
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Some(Gradient::of_state(tensors)))
    }
}
