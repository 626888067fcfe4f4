//! What a run has shown so far, as far as switch criteria judge it: epochs and steps, the latest
//! losses and gradient norms, and the noise of the gradient.

use std::collections::VecDeque;

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::record::Step;
use crate::state::State;

/// What the criteria judge.
#[derive(Debug, Clone, Default)]
pub(super) struct Statistics {
    pub(super) epoch: u64,
    pub(super) steps: u64,
    /// Evaluations of the objective, in all steps.
    pub(super) evaluations: u64,
    /// The latest gradient norm.
    pub(super) norm: Option<f64>,
    /// The first finite one.
    pub(super) first_norm: Option<f64>,
    /// The latest losses, as many as the criterion needs.
    pub(super) losses: VecDeque<f64>,
    losses_needed: usize,
    /// The running mean of ‖g‖², uncorrected, and the steps in it.
    squares: f64,
    squares_steps: u64,
    /// The noise to signal ratio: finite or infinite, never NaN.
    pub(super) noise: Option<f64>,
}

impl Statistics {
    /// For criteria that need the latest `losses_needed` losses.
    pub(super) fn new(losses_needed: usize) -> Self {
        Self {
            losses_needed,
            ..Self::default()
        }
    }

    /// Takes note of a step that cost so many evaluations.
    pub(super) fn observe(&mut self, step: &Step, evaluations: u64) {
        self.steps += 1;
        self.evaluations += evaluations;
        self.norm = Some(step.gradient_norm);
        if step.gradient_norm.is_finite() {
            self.first_norm.get_or_insert(step.gradient_norm);
        }
        self.losses.push_back(step.final_loss.unwrap_or(step.loss));
        while self.losses.len() > self.losses_needed {
            self.losses.pop_front();
        }
    }

    /// Takes note of Adam's first moment, uncorrected, after a step whose gradient had norm `norm`.
    /// A norm without a finite square would spoil the running mean for good, and is left out.
    pub(super) fn observe_moment(&mut self, norm: f64, moment_norm: f64, beta1: f64) {
        if !(norm * norm).is_finite() {
            return;
        }
        self.squares = beta1 * self.squares + (1.0 - beta1) * norm * norm;
        self.squares_steps += 1;
        let decayed = beta1.powf(self.squares_steps as f64);
        let c = (1.0 - beta1) * (1.0 + decayed) / ((1.0 + beta1) * (1.0 - decayed));
        let square = self.squares / (1.0 - decayed);
        let moment = (moment_norm / (1.0 - decayed)).powi(2);
        // At the first step c = 1: one gradient does not tell signal from noise.
        if self.squares_steps > 1 {
            let noise = (square - moment).max(0.0);
            let signal = moment - c * square;
            self.noise = Some(if signal > 0.0 {
                noise / signal
            } else {
                f64::INFINITY
            });
        }
    }

    pub(super) fn save(&self, state: &mut State) -> Result<()> {
        state.set("epoch", self.epoch)?;
        state.set("steps", self.steps)?;
        state.set("evaluations", self.evaluations)?;
        state.set("squares_steps", self.squares_steps)?;
        let option = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let mut numbers = vec![
            option(self.norm),
            option(self.first_norm),
            option(self.noise),
            self.squares,
        ];
        numbers.extend(&self.losses);
        let numbers = Tensor::new(numbers, &Device::Cpu)?;
        state.tensors.insert("seen".into(), numbers);
        Ok(())
    }

    pub(super) fn load(&mut self, state: &State) -> Result<()> {
        let missing = || Error::Checkpoint("tensor `seen` is missing or malformed".into());
        let numbers = state.tensors.get("seen").ok_or_else(missing)?;
        let numbers = numbers.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let [norm, first_norm, noise, squares, losses @ ..] = numbers.as_slice() else {
            return Err(missing());
        };
        let steps = state.get("steps")?;
        // The latest norm may be NaN itself; the first one and the noise are NaN only if absent.
        let option = |value: &f64| Some(*value).filter(|value| !value.is_nan());
        *self = Self {
            epoch: state.get("epoch")?,
            steps,
            evaluations: state.get("evaluations")?,
            norm: (steps > 0).then_some(*norm),
            first_norm: option(first_norm),
            losses: losses.iter().copied().collect(),
            losses_needed: self.losses_needed,
            squares: *squares,
            squares_steps: state.get("squares_steps")?,
            noise: option(noise),
        };
        Ok(())
    }
}
