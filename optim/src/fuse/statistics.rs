//! What a run has shown so far, as far as switch criteria judge it: epochs and steps, the latest
//! losses and gradient norms, and the noise of the gradient.

use std::collections::VecDeque;

use candle_core::{DType, Device, Tensor};

use super::noise::NoiseRatio;
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
    pub(super) noise: NoiseRatio,
    /// The largest decrease of the loss over each of the windows asked for.
    decreases: Vec<(usize, f64)>,
    /// The running mean λ of SGD's projected rate, uncorrected, and the steps in it.
    rate: f64,
    rate_steps: u64,
    /// How far the latest projected rate is from the mean, relative to the mean.
    pub(super) rate_change: Option<f64>,
}

impl Statistics {
    /// For criteria that need the latest `losses_needed` losses, and the largest decrease over each
    /// of `windows`.
    pub(super) fn new(losses_needed: usize, windows: &[usize]) -> Self {
        Self {
            losses_needed,
            decreases: windows
                .iter()
                .map(|window| (*window, f64::NEG_INFINITY))
                .collect(),
            ..Self::default()
        }
    }

    /// The mean losses of the `window` steps before the last `window`, and of these.
    pub(super) fn means(&self, window: usize) -> Option<(f64, f64)> {
        let start = self.losses.len().checked_sub(window.saturating_mul(2))?;
        let mean = |from: usize| {
            let losses = self.losses.range(from..from + window);
            losses.sum::<f64>() / window as f64
        };
        Some((mean(start), mean(start + window)))
    }

    /// The largest decrease between two means over `window`.
    pub(super) fn largest_decrease(&self, window: usize) -> Option<f64> {
        let mut decreases = self.decreases.iter();
        decreases
            .find(|(of, _)| *of == window)
            .map(|(_, largest)| *largest)
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
        for i in 0..self.decreases.len() {
            let (window, largest) = self.decreases[i];
            if let Some((earlier, later)) = self.means(window)
                && (earlier - later).is_finite()
            {
                self.decreases[i].1 = largest.max(earlier - later);
            }
        }
    }

    /// Takes note of a move p of Adam from a point with gradient g, by pᵀp and pᵀg.
    pub(super) fn observe_move(&mut self, square: f64, slope: f64, beta2: f64) {
        let rate = square / -slope;
        if !rate.is_finite() {
            return;
        }
        self.rate = beta2 * self.rate + (1.0 - beta2) * rate;
        self.rate_steps += 1;
        let mean = self.rate / (1.0 - beta2.powf(self.rate_steps as f64));
        // The first mean is the first rate.
        if self.rate_steps > 1 {
            self.rate_change = Some(((mean - rate) / mean).abs()).filter(|change| !change.is_nan());
        }
    }

    pub(super) fn save(&self, state: &mut State) -> Result<()> {
        state.set("epoch", self.epoch)?;
        state.set("steps", self.steps)?;
        state.set("evaluations", self.evaluations)?;
        state.set("squares_steps", self.noise.gradients)?;
        for (i, (_, largest)) in self.decreases.iter().enumerate() {
            state.set_float(&format!("largest_decrease_{i}"), *largest);
        }
        if self.rate_steps > 0 {
            state.set("rate_steps", self.rate_steps)?;
            state.set_float("rate", self.rate);
            state.set_float("rate_change", self.rate_change.unwrap_or(f64::NAN));
        }
        let option = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let mut numbers = vec![
            option(self.norm),
            option(self.first_norm),
            option(self.noise.value),
            self.noise.squares,
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
        let mut decreases = self.decreases.clone();
        for (i, (_, largest)) in decreases.iter_mut().enumerate() {
            *largest = state.float(&format!("largest_decrease_{i}"))?;
        }
        let (rate, rate_steps, rate_change) = match state.metadata.get("rate_steps") {
            Some(_) => (
                state.float("rate")?,
                state.get("rate_steps")?,
                option(&state.float("rate_change")?),
            ),
            None => (0.0, 0, None),
        };
        *self = Self {
            decreases,
            rate,
            rate_steps,
            rate_change,
            epoch: state.get("epoch")?,
            steps,
            evaluations: state.get("evaluations")?,
            norm: (steps > 0).then_some(*norm),
            first_norm: option(first_norm),
            losses: losses.iter().copied().collect(),
            losses_needed: self.losses_needed,
            noise: NoiseRatio {
                squares: *squares,
                gradients: state.get("squares_steps")?,
                value: option(noise),
            },
        };
        Ok(())
    }
}
