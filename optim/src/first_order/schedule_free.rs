//! Schedule-Free AdamW: an average of the iterates in place of a schedule.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Method, Pass};
use super::groups::ParameterGroup;
use crate::check;
use crate::error::Result;
use crate::kernels::StateVectors;
use crate::kernels::number::{largest, state_dtype};
use crate::kernels::{ScheduleFreeCoefficients, ScheduleFreeRule};
use crate::params::Parameters;
use crate::schedule::Schedule;

/// Settings of [`ScheduleFreeAdamw`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleFreeAdamwConfig {
    /// The learning rate α ≥ 0.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps: constant, or a warm-up. What the authors call
    /// `warmup_steps` = W is [`Schedule::WarmUp`] of W - 1 steps from a factor of 1/W.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The weight β1 in (0, 1) of the average in the point where gradients are taken.
    pub beta1: f64,
    /// The decay rate β2 in [0, 1) of the second moment.
    pub beta2: f64,
    /// The term ε ≥ 0 that bounds the denominator from below.
    pub epsilon: f64,
    /// The strength λ ≥ 0 of weight decay, taken where gradients are.
    pub weight_decay: f64,
    /// The power r ≥ 0 of a step's number in its weight in the average.
    pub step_power: f64,
    /// The power ≥ 0 of the largest learning rate so far in a step's weight in the average, so that
    /// steps of a warm-up count less.
    pub rate_power: f64,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

impl Default for ScheduleFreeAdamwConfig {
    fn default() -> Self {
        Self {
            learning_rate: 2.5e-3,
            schedule: Schedule::default(),
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            step_power: 0.0,
            rate_power: 2.0,
            groups: Vec::new(),
        }
    }
}

impl ScheduleFreeAdamwConfig {
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
    pub fn build(self, parameters: &Parameters) -> Result<ScheduleFreeAdamw> {
        let between = self.beta1 > 0.0 && self.beta1 < 1.0;
        check::that(between, "beta1", self.beta1, "0 < value < 1")?;
        check::decay_rate("beta2", self.beta2)?;
        check::non_negative("epsilon", self.epsilon)?;
        check::non_negative("step_power", self.step_power)?;
        check::non_negative("rate_power", self.rate_power)?;
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Elementwise::new(self, rate, decay, &groups, parameters)
    }
}

/// Schedule-Free AdamW: gradients are taken between the iterate z and the average x of all iterates;
/// x is the result.
///
/// At step t from 1, with the parameters at y and the gradient g there:
///
/// ```text
/// v ← β2·v + (1 - β2)·g²
/// z ← z - α·(g / (√(v/(1 - β2ᵗ)) + ε) + λ·y)
/// x ← (1 - c)·x + c·z                 c = w/(w of all steps so far), w = tʳ·(largest α so far)²
/// y ← (1 - β1)·z + β1·x
/// ```
///
/// The parameters hold y; x comes from y and z when it is asked for, so that two vectors are kept.
/// Measure, and take, the result at
/// [`evaluation_parameters`](crate::Optimizer::evaluation_parameters). A network with batch
/// normalisation needs its running statistics taken at x too.
///
/// Source: Defazio et al., "The Road Less Scheduled" (arXiv 2405.15682).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, ScheduleFreeAdamwConfig};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let config = ScheduleFreeAdamwConfig { learning_rate: 0.1, ..Default::default() };
/// let mut optimizer = config.build(&parameters)?;
/// let mut meter = Meter::new();
/// for _ in 0..100 {
///     let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
///     optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// let trained = parameters.snapshot()?;
/// if let Some(average) = optimizer.evaluation_parameters()? {
///     parameters.restore(&average)?;
/// }
/// assert!(x.sqr()?.sum_all()?.to_scalar::<f64>()? < 0.1);
/// // Training goes on from where it was.
/// parameters.restore(&trained)?;
/// # Ok(())
/// # }
/// ```
pub type ScheduleFreeAdamw = Elementwise<ScheduleFreeAdamwConfig, 2>;

impl Method<2> for ScheduleFreeAdamwConfig {
    const KIND: &'static str = "schedule-free-adamw";
    const VECTORS: [&'static str; 2] = ["z", "v"];

    fn used(&self) -> [bool; 2] {
        [true, true]
    }

    fn numbers(&self) -> Vec<(&'static str, f64)> {
        vec![("largest_rate", 0.0), ("weight_sum", 0.0)]
    }

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn update(&self, mut pass: Pass<'_, 2>) -> Result<f64> {
        let t = (pass.step + 1) as f64;
        let root_correction2 = (1.0 - self.beta2.powf(t)).sqrt();
        let [largest_rate, weight_sum] = pass.numbers else {
            unreachable!("two numbers are carried")
        };
        *largest_rate = largest_rate.max(pass.learning_rate);
        let weight = t.powf(self.step_power) * largest_rate.powf(self.rate_power);
        let weight = weight.min(f64::MAX);
        *weight_sum = (*weight_sum + weight).min(f64::MAX);
        // A step of no weight leaves the average as it is, the first step too.
        let share = if weight > 0.0 {
            weight / *weight_sum
        } else {
            0.0
        };
        let groups = pass.groups.iter().map(|group| {
            let rate = (pass.learning_rate * group.learning_rate_factor).min(f64::MAX);
            ScheduleFreeCoefficients {
                rate2: 1.0 - self.beta2,
                scale: 1.0 / root_correction2,
                epsilon: self.epsilon,
                decay: group.weight_decay,
                toward: share,
                average_step: rate * (1.0 - self.beta1 * (1.0 - share)),
                step_size: rate,
            }
        });
        let rule = ScheduleFreeRule {
            first: pass.step == 0,
            groups: groups.collect(),
        };
        Ok(pass.run(&rule)?.norm)
    }

    /// x = y + (1 - 1/β1)·(z - y).
    fn evaluation_parameters(
        &self,
        step: u64,
        parameters: &Parameters,
        vectors: &StateVectors<2>,
    ) -> Result<Option<Vec<Tensor>>> {
        if step == 0 {
            return Ok(None);
        }
        let z = vectors.export(parameters.vars(), 0)?;
        let average = parameters.vars().iter().zip(z).map(|(var, z)| {
            let y = var
                .as_detached_tensor()
                .to_dtype(state_dtype(var.dtype()))?;
            let x = (&y + ((z - &y)? * (1.0 - 1.0 / self.beta1))?)?;
            let most = largest(var.dtype());
            x.clamp(-most, most)?.to_dtype(var.dtype())
        });
        let average = average.collect::<candle_core::Result<_>>()?;
        Ok(Some(average))
    }
}
