//! Adam and its variants: AdamW, AMSGrad and both placements of epsilon.

use serde::{Deserialize, Serialize};

use super::groups::{Groups, ParameterGroup};
use crate::kernels::{AdamCoefficients, AdamRule, StateVectors, update};
use crate::state::State;
use crate::{Gradient, Optimizer, Oracle, Parameters, Phase, Result, Step, VectorPasses, check};

/// Settings of [`Adam`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConfig {
    /// The learning rate α ≥ 0.
    pub learning_rate: f64,
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

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a group's pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<Adam> {
        check::non_negative("learning_rate", self.learning_rate)?;
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        check::non_negative("epsilon", self.epsilon)?;
        Ok(Adam {
            groups: Groups::new(&self.groups, self.weight_decay, parameters)?,
            moments: StateVectors::zeros(parameters, [true, true, self.amsgrad])?,
            parameters: parameters.clone(),
            learning_rate: self.learning_rate,
            steps: 0,
            passes: VectorPasses::default(),
            config: self,
        })
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
/// & Hutter, "Decoupled Weight Decay Regularization" (arXiv 1711.05101); Reddi, Kale & Kumar, "On the
/// Convergence of Adam and Beyond" (arXiv 1904.09237).
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
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    parameters: Parameters,
    groups: Groups,
    /// m, v and, with AMSGrad, the largest v.
    moments: StateVectors<3>,
    learning_rate: f64,
    steps: u64,
    passes: VectorPasses,
}

/// The names of the moments in a [`State`].
const MOMENTS: [&str; 3] = ["m", "v", "v_max"];

impl Adam {
    pub(super) const KIND: &str = "adam";

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &AdamConfig {
        &self.config
    }

    /// Makes one update from `gradient` without evaluating the objective; returns the gradient's
    /// Euclidean norm. Components whose gradient is not finite stay as they are.
    ///
    /// # Errors
    /// When the gradient does not fit the parameters.
    pub fn update(&mut self, gradient: &Gradient) -> Result<f64> {
        let rule = AdamRule(self.coefficients());
        let norm = update(
            &rule,
            self.groups.of_parameter(),
            &self.parameters,
            gradient,
            &mut self.moments,
        )?;
        self.steps += 1;
        let state = self.moment_count() as u64;
        self.passes += VectorPasses {
            reads: 2 + state,
            writes: 1 + state,
        };
        Ok(norm)
    }

    /// A step that also gives the gradient it used.
    pub(crate) fn step_with_gradient(
        &mut self,
        oracle: &mut Oracle<'_>,
    ) -> Result<(Step, Gradient)> {
        super::step(oracle, |gradient| self.update(gradient))
    }

    /// The Euclidean norm of m, without bias correction.
    pub(crate) fn first_moment_norm(&mut self) -> Result<f64> {
        self.passes += VectorPasses {
            reads: 1,
            writes: 0,
        };
        self.moments.norm(0)
    }

    /// 1/(√v̂ + ε), what Adam multiplies its step with, one tensor per parameter; nothing before the
    /// first step.
    pub(crate) fn preconditioner(&self) -> Result<Option<Gradient>> {
        if self.steps == 0 {
            return Ok(None);
        }
        let correction = 1.0 - self.config.beta2.powf(self.steps as f64);
        let second = self
            .moments
            .export(&self.parameters, self.moment_count() - 1)?;
        let tensors = second
            .iter()
            .map(|v| Ok(((v / correction)?.sqrt()? + self.config.epsilon)?.recip()?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(Gradient::of_state(tensors)))
    }

    /// The scalars of the next update, by parameter group.
    fn coefficients(&self) -> Vec<AdamCoefficients> {
        let AdamConfig {
            beta1,
            beta2,
            epsilon,
            ..
        } = self.config;
        let t = (self.steps + 1) as f64;
        let correction1 = 1.0 - beta1.powf(t);
        let root_correction2 = (1.0 - beta2.powf(t)).sqrt();
        let groups = self.groups.settings().iter().map(|group| {
            let rate = self.learning_rate * group.learning_rate_factor;
            let (l2, decay) = match self.config.weight_decay_kind {
                WeightDecay::Coupled => (group.weight_decay, 0.0),
                WeightDecay::Decoupled => (0.0, rate * group.weight_decay),
            };
            let (step_size, scale) = match self.config.epsilon_placement {
                EpsilonPlacement::AfterCorrection => (rate / correction1, 1.0 / root_correction2),
                EpsilonPlacement::Uncorrected => (rate * root_correction2 / correction1, 1.0),
            };
            AdamCoefficients {
                l2,
                rate1: 1.0 - beta1,
                rate2: 1.0 - beta2,
                decay,
                step_size,
                scale,
                epsilon,
            }
        });
        groups.collect()
    }

    fn moment_count(&self) -> usize {
        2 + usize::from(self.config.amsgrad)
    }
}

impl Optimizer for Adam {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        Ok(self.step_with_gradient(oracle)?.0)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        Phase::FirstOrder
    }

    fn state_elements(&self) -> u64 {
        (self.moment_count() * self.parameters.element_count()) as u64
    }

    fn vector_passes(&self) -> VectorPasses {
        self.passes
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("steps", self.steps)?;
        state.set("passes", self.passes)?;
        for (index, name) in MOMENTS.iter().take(self.moment_count()).enumerate() {
            let moment = self.moments.export(&self.parameters, index)?;
            state.set_vector(name, &self.parameters, moment);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let (steps, passes) = (state.get("steps")?, state.get("passes")?);
        let learning_rate = state.float("learning_rate")?;
        let names = MOMENTS.iter().take(self.moment_count());
        let moments = names
            .map(|name| state.vector(name, &self.parameters))
            .collect::<Result<Vec<_>>>()?;
        for (index, moment) in moments.iter().enumerate() {
            self.moments.import(index, moment)?;
        }
        (self.steps, self.passes, self.learning_rate) = (steps, passes, learning_rate);
        Ok(())
    }
}
