//! Stochastic gradient descent, with momentum.

use serde::{Deserialize, Serialize};

use super::groups::{Groups, ParameterGroup};
use crate::kernels::{SgdCoefficients, SgdRule, StateVectors, update};
use crate::state::State;
use crate::{Gradient, Optimizer, Oracle, Parameters, Phase, Result, Step, VectorPasses, check};

/// Settings of [`Sgd`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// The learning rate α ≥ 0.
    pub learning_rate: f64,
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
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            groups: Vec::new(),
        }
    }
}

impl SgdConfig {
    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a group's pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<Sgd> {
        check::non_negative("learning_rate", self.learning_rate)?;
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
        Ok(Sgd {
            groups: Groups::new(&self.groups, self.weight_decay, parameters)?,
            momentum: StateVectors::zeros(parameters, [self.momentum > 0.0])?,
            parameters: parameters.clone(),
            learning_rate: self.learning_rate,
            steps: 0,
            passes: VectorPasses::default(),
            config: self,
        })
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
#[derive(Debug)]
pub struct Sgd {
    config: SgdConfig,
    parameters: Parameters,
    groups: Groups,
    momentum: StateVectors<1>,
    learning_rate: f64,
    steps: u64,
    passes: VectorPasses,
}

impl Sgd {
    pub(super) const KIND: &str = "sgd";

    /// Makes one update from `gradient` without evaluating the objective; returns the gradient's
    /// Euclidean norm. Components whose gradient is not finite stay as they are.
    ///
    /// # Errors
    /// When the gradient does not fit the parameters.
    pub fn update(&mut self, gradient: &Gradient) -> Result<f64> {
        let SgdConfig {
            momentum,
            dampening,
            nesterov,
            ..
        } = self.config;
        let first = self.steps == 0;
        let coefficients = self.groups.settings().iter().map(|group| SgdCoefficients {
            l2: group.weight_decay,
            inflow: if first { 1.0 } else { 1.0 - dampening },
            outflow: 1.0 - momentum,
            own: if nesterov { 1.0 } else { 0.0 },
            carried: if nesterov { momentum } else { 1.0 },
            step_size: self.learning_rate * group.learning_rate_factor,
        });
        let norm = update(
            &SgdRule(coefficients.collect()),
            self.groups.of_parameter(),
            &self.parameters,
            gradient,
            &mut self.momentum,
        )?;
        self.steps += 1;
        let state = u64::from(momentum > 0.0);
        self.passes += VectorPasses {
            reads: 2 + state,
            writes: 1 + state,
        };
        Ok(norm)
    }

    fn has_momentum(&self) -> bool {
        self.config.momentum > 0.0
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let (step, _) = super::step(oracle, |gradient| self.update(gradient))?;
        Ok(step)
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
        u64::from(self.has_momentum()) * self.parameters.element_count() as u64
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
        if self.has_momentum() {
            let momentum = self.momentum.export(&self.parameters, 0)?;
            state.set_vector("momentum", &self.parameters, momentum);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let (steps, passes) = (state.get("steps")?, state.get("passes")?);
        let learning_rate = state.float("learning_rate")?;
        if self.has_momentum() {
            self.momentum
                .import(0, &state.vector("momentum", &self.parameters)?)?;
        }
        (self.steps, self.passes, self.learning_rate) = (steps, passes, learning_rate);
        Ok(())
    }
}
