//! Prodigy: Adam with a learning rate that it estimates itself.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Method, Pass};
use super::groups::ParameterGroup;
use crate::check;
use crate::error::Result;
use crate::kernels::{ProdigyMoments, ProdigyMomentsRule, ProdigyStep, ProdigyStepRule, Updated};
use crate::params::Parameters;
use crate::record::VectorPasses;
use crate::schedule::Schedule;

/// Settings of [`Prodigy`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProdigyConfig {
    /// The factor γ ≥ 0 of the estimated learning rate; leave it at 1.
    pub learning_rate: f64,
    /// How that factor changes with the steps; the authors use a cosine.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The decay rate β1 in [0, 1) of the first moment.
    pub beta1: f64,
    /// The decay rate β2 in [0, 1) of the second moment.
    pub beta2: f64,
    /// The decay rate β3 in [0, 1) of the sums behind the estimate; √β2 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta3: Option<f64>,
    /// The term ε ≥ 0 that bounds the denominator from below, as a multiple of d.
    pub epsilon: f64,
    /// The strength λ ≥ 0 of weight decay, apart from the gradient.
    pub weight_decay: f64,
    /// The first estimate d0 > 0 of the distance to a solution.
    pub d0: f64,
    /// The factor > 0 of the estimate: what to tune, rather than the learning rate.
    pub d_coef: f64,
    /// The most ≥ 1 that the estimate grows by in one step; without limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth_rate: Option<f64>,
    /// Whether to correct Adam's bias.
    pub bias_correction: bool,
    /// Whether to leave γ out of the sum s, for schedules with a warm-up.
    pub safeguard_warmup: bool,
    /// Parameters with other settings; a learning-rate factor must be 1, or 0 to freeze the group.
    pub groups: Vec<ParameterGroup>,
}

impl Default for ProdigyConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1.0,
            schedule: Schedule::default(),
            beta1: 0.9,
            beta2: 0.999,
            beta3: None,
            epsilon: 1e-8,
            weight_decay: 0.0,
            d0: 1e-6,
            d_coef: 1.0,
            growth_rate: None,
            bias_correction: false,
            safeguard_warmup: false,
            groups: Vec::new(),
        }
    }
}

impl ProdigyConfig {
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
    pub fn build(self, parameters: &Parameters) -> Result<Prodigy> {
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        check::decay_rate("beta3", self.beta3())?;
        check::non_negative("epsilon", self.epsilon)?;
        check::positive("d0", self.d0)?;
        check::positive("d_coef", self.d_coef)?;
        if let Some(rate) = self.growth_rate {
            let accepted = rate.is_finite() && rate >= 1.0;
            check::that(accepted, "growth_rate", rate, "a finite number >= 1")?;
        }
        for group in &self.groups {
            let factor = group.learning_rate_factor;
            let accepted = factor == 0.0 || factor == 1.0;
            check::that(accepted, "groups.learning_rate_factor", factor, "0 or 1")?;
        }
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Elementwise::new(self, rate, decay, &groups, parameters)
    }

    fn beta3(&self) -> f64 {
        self.beta3.unwrap_or(self.beta2.sqrt())
    }
}

/// Prodigy: Adam whose learning rate is an estimate d of the distance from the start to a solution.
///
/// With x0 the parameters of the first step, and γ the learning rate:
///
/// ```text
/// m ← β1·m + (1 - β1)·d·g
/// v ← β2·v + (1 - β2)·(d·g)²
/// r ← β3·r + γ·d²/d0·⟨g, x0 - x⟩              a number
/// s ← β3·s + γ·d²/d0·g                        a vector
/// x ← (1 - γdλ)·x - γ·d·m / (√v + d'·ε)
/// d ← d' = max(d, d_coef·r/‖s‖₁)
/// ```
///
/// As in the authors' code: the first estimate above d0 is taken as it is, later ones at most
/// `growth_rate` times the one before; with `bias_correction` γ is multiplied by
/// √(1 - β2ᵗ)/(1 - β1ᵗ). While all gradients are zero nothing moves.
///
/// An update is two passes: it reads four vectors of state, parameters and gradient, then two of the
/// vectors, parameters and gradient once more.
///
/// Source: Mishchenko & Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner" (arXiv
/// 2306.06101).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, ProdigyConfig};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut prodigy = ProdigyConfig::default().build(&parameters)?;
/// let mut meter = Meter::new();
/// for _ in 0..200 {
///     let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
///     prodigy.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// // Without a learning rate to set, the estimate has grown from 1e-6 to the problem's size.
/// assert!(prodigy.distance() > 0.1);
/// assert!(x.sqr()?.sum_all()?.to_scalar::<f64>()? < 1.0);
/// # Ok(())
/// # }
/// ```
pub type Prodigy = Elementwise<ProdigyConfig, 4>;

impl Prodigy {
    /// The estimate d of the distance to a solution.
    pub fn distance(&self) -> f64 {
        self.numbers[0]
    }
}

impl Method<4> for ProdigyConfig {
    const KIND: &'static str = "prodigy";
    const VECTORS: [&'static str; 4] = ["m", "v", "s", "start"];
    // Parameters and gradient are read twice, and so are m and v. All vectors but the start are
    // written, and the parameters.
    const PASSES: VectorPasses = VectorPasses {
        reads: 6,
        writes: 0,
    };

    fn used(&self) -> [bool; 4] {
        [true; 4]
    }

    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("d", self.d0), ("d_max", self.d0), ("numerator", 0.0)]
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn update(&self, mut pass: Pass<'_, 4>) -> Result<f64> {
        let t = (pass.step + 1) as f64;
        let correction = if self.bias_correction {
            (1.0 - self.beta2.powf(t)).sqrt() / (1.0 - self.beta1.powf(t))
        } else {
            1.0
        };
        let (rate, beta3) = (pass.learning_rate, self.beta3());
        let d = pass.numbers[0];
        let step_size = (d * rate * correction).min(f64::MAX);
        let inflow = d / self.d0 * if self.safeguard_warmup { d } else { step_size };
        let moments = pass.groups.iter().map(|group| {
            (rate * group.learning_rate_factor > 0.0).then_some(ProdigyMoments {
                d,
                rate1: 1.0 - self.beta1,
                rate2: 1.0 - self.beta2,
                inflow: inflow.min(f64::MAX),
                outflow: 1.0 - beta3,
            })
        });
        let rule = ProdigyMomentsRule {
            first: pass.step == 0,
            groups: moments.collect(),
        };
        let Updated { norm, sums } = pass.run(&rule)?;
        let [product, magnitude] = sums;
        if magnitude == 0.0 {
            return Ok(norm);
        }
        let numerator = beta3 * pass.numbers[2] + d / self.d0 * step_size * product;
        let d = self.estimate(pass.numbers, numerator, magnitude);
        let steps = pass.groups.iter().map(|group| {
            let rate = step_size * group.learning_rate_factor;
            ProdigyStep {
                decay: rate * group.weight_decay,
                step_size: rate,
                epsilon: d * self.epsilon,
            }
        });
        let rule = ProdigyStepRule(steps.collect());
        pass.run(&rule)?;
        Ok(norm)
    }
}

impl ProdigyConfig {
    /// Takes in a new numerator, and the sum ‖s‖₁ below it; returns the new estimate. Sums beyond the
    /// numbers' range leave the estimate as it is.
    fn estimate(&self, numbers: &mut [f64], numerator: f64, magnitude: f64) -> f64 {
        let estimate = self.d_coef * numerator / magnitude;
        if !numerator.is_finite() || !estimate.is_finite() {
            return numbers[0];
        }
        let [mut d, mut largest] = [numbers[0], numbers[1]];
        if d == self.d0 {
            d = d.max(estimate);
        }
        largest = largest.max(estimate);
        d = match self.growth_rate {
            Some(rate) => largest.min(d * rate),
            None => largest,
        };
        numbers.copy_from_slice(&[d, largest, numerator]);
        d
    }
}
