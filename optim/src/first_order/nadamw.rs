//! NadamW: AdamW with Nesterov's look-ahead, in the forms of PyTorch, Optax and AlgoPerf.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Method, Pass};
use super::groups::ParameterGroup;
use crate::check;
use crate::error::Result;
use crate::kernels::{AdamCoefficients, AdamRule};
use crate::params::Parameters;
use crate::schedule::Schedule;

/// Settings of [`Nadamw`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NadamwConfig {
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
    /// How the first moment looks ahead.
    pub look_ahead: LookAhead,
    /// The strength λ ≥ 0 of weight decay, apart from the gradient.
    pub weight_decay: f64,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

/// How the first moment m looks ahead to the next step: m̂ in [`Nadamw`]'s formula.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LookAhead {
    /// Dozat's, in PyTorch's form: a momentum μ that grows with the steps,
    ///
    /// ```text
    /// μ(t) = β1·(1 - ½·0.96^(ψ·t))
    /// m̂ = μ(t+1)·m / (1 - μ(1)·…·μ(t+1)) + (1 - μ(t))·g / (1 - μ(1)·…·μ(t))
    /// ```
    ///
    /// The number is ψ ≥ 0; PyTorch's default is 0.004.
    Growing(f64),
    /// A constant momentum, each part with a bias correction of its own, as in Optax:
    /// m̂ = β1·m/(1 - β1ᵗ⁺¹) + (1 - β1)·g/(1 - β1ᵗ).
    Constant,
    /// A constant momentum and one bias correction, as in the AlgoPerf benchmark:
    /// m̂ = (β1·m + (1 - β1)·g)/(1 - β1ᵗ).
    Joint,
}

impl Default for LookAhead {
    fn default() -> Self {
        Self::Growing(0.004)
    }
}

impl Default for NadamwConfig {
    fn default() -> Self {
        Self {
            learning_rate: 2e-3,
            schedule: Schedule::default(),
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            look_ahead: LookAhead::default(),
            weight_decay: 1e-2,
            groups: Vec::new(),
        }
    }
}

impl NadamwConfig {
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
    pub fn build(self, parameters: &Parameters) -> Result<Nadamw> {
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        check::non_negative("epsilon", self.epsilon)?;
        if let LookAhead::Growing(psi) = self.look_ahead {
            check::non_negative("look_ahead.growing", psi)?;
        }
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Elementwise::new(self, rate, decay, &groups, parameters)
    }

    /// The weights of m and of g in m̂ at step `t`, counted from 1; `product` is μ(1)·…·μ(t-1), and
    /// becomes μ(1)·…·μ(t).
    fn weights(&self, t: f64, product: &mut f64) -> (f64, f64) {
        let beta1 = self.beta1;
        match self.look_ahead {
            LookAhead::Growing(psi) => {
                let momentum = |t: f64| beta1 * (1.0 - 0.5 * 0.96f64.powf(t * psi));
                let (now, next) = (momentum(t), momentum(t + 1.0));
                *product *= now;
                let carried = next / (1.0 - *product * next);
                (carried, (1.0 - now) / (1.0 - *product))
            }
            LookAhead::Constant => {
                let correction = |t: f64| 1.0 - beta1.powf(t);
                let own = (1.0 - beta1) / correction(t);
                (beta1 / correction(t + 1.0), own)
            }
            LookAhead::Joint => {
                let correction = 1.0 - beta1.powf(t);
                (beta1 / correction, (1.0 - beta1) / correction)
            }
        }
    }
}

/// NadamW: AdamW whose step looks ahead along the first moment, as Nesterov's momentum does.
///
/// At step t from 1, with gradient g and m̂ as [`LookAhead`] tells:
///
/// ```text
/// m ← β1·m + (1 - β1)·g
/// v ← β2·v + (1 - β2)·g²
/// x ← (1 - αλ)·x - α·m̂ / (√(v/(1 - β2ᵗ)) + ε)
/// ```
///
/// Sources: Dozat, "Incorporating Nesterov Momentum into Adam" (ICLR 2016 workshop); Loshchilov &
/// Hutter, "Decoupled Weight Decay Regularization" (arXiv 1711.05101); Dahl et al., "Benchmarking
/// Neural Network Training Algorithms" (arXiv 2306.07179).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{LookAhead, Loss, Meter, NadamwConfig, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let config = NadamwConfig {
///     learning_rate: 0.5,
///     look_ahead: LookAhead::Joint,
///     weight_decay: 0.0,
///     ..NadamwConfig::default()
/// };
/// let mut nadamw = config.build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// nadamw.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// // The first step is 1 + β1 times the learning rate.
/// let x = x.to_vec1::<f64>()?;
/// assert!((x[0] - 2.05).abs() < 1e-8 && (x[1] + 1.05).abs() < 1e-8);
/// # Ok(())
/// # }
/// ```
pub type Nadamw = Elementwise<NadamwConfig, 3>;

impl Method<3> for NadamwConfig {
    const KIND: &'static str = "nadamw";
    const VECTORS: [&'static str; 3] = ["m", "v", "v_max"];

    fn used(&self) -> [bool; 3] {
        [true, true, false]
    }

    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("momentum_product", 1.0)]
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn update(&self, mut pass: Pass<'_, 3>) -> Result<f64> {
        let t = (pass.step + 1) as f64;
        let root_correction2 = (1.0 - self.beta2.powf(t)).sqrt();
        let (carried, own) = self.weights(t, &mut pass.numbers[0]);
        let coefficients = pass.groups.iter().map(|group| {
            let rate = (pass.learning_rate * group.learning_rate_factor).min(f64::MAX);
            AdamCoefficients {
                l2: 0.0,
                rate1: 1.0 - self.beta1,
                rate2: 1.0 - self.beta2,
                decay: rate * group.weight_decay,
                own,
                carried,
                step_size: rate,
                scale: 1.0 / root_correction2,
                epsilon: self.epsilon,
            }
        });
        let rule = AdamRule(coefficients.collect());
        Ok(pass.run(&rule)?.norm)
    }
}
