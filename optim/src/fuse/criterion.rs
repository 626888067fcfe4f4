//! When to hand over from Adam to L-BFGS.

use std::collections::VecDeque;
use std::fmt;

use candle_core::DType;
use serde::{Deserialize, Serialize};

use crate::first_order::{AdamConfig, WeightDecay};
use crate::state::State;
use crate::{Result, Step, check};

/// A condition on the run so far. It is judged before each step, from what the steps before it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Criterion {
    /// From epoch n on, counted from 0. The paper's choice, with n = 5.
    Epoch(u64),
    /// After n steps.
    Step(u64),
    /// The last step's gradient norm ‖g‖₂ is at most `threshold`, times the first step's norm if
    /// `relative`.
    GradNorm {
        /// The largest norm that fires.
        threshold: f64,
        /// Whether the norm is divided by the first step's.
        #[serde(default)]
        relative: bool,
    },
    /// The last step's loss is below `threshold`: the loss where the step ended if it was evaluated
    /// there (L-BFGS), else where it began (Adam).
    LossLevel {
        /// The level.
        threshold: f64,
    },
    /// The loss has ceased to decrease: (a - b)/|a| is below `min_relative_decrease`, where b is the
    /// mean loss of the last `window` steps and a that of the `window` steps before.
    LossDecrease {
        /// Steps in each mean.
        window: usize,
        /// The decrease below which it fires.
        min_relative_decrease: f64,
    },
    /// The gradient is signal rather than noise, so that curvature pairs can be trusted: the noise
    /// to signal ratio tr(Σ)/‖G‖² of the mini-batch gradient is at most `threshold`, where G is its
    /// mean and Σ its covariance (tr(Σ)/‖G‖² times the batch size is the "simple noise scale" of
    /// McCandlish et al., arXiv 1812.06162).
    ///
    /// Both come from Adam's first moment m̂ and a running mean q̂ of ‖g‖² with the same decay β1,
    /// both bias-corrected. For independent gradients of one distribution
    ///
    /// ```text
    /// E q̂ = ‖G‖² + tr(Σ),   E ‖m̂‖² = ‖G‖² + c·tr(Σ),   c = (1-β1)(1+β1ᵗ) / ((1+β1)(1-β1ᵗ))
    /// tr(Σ) = (q̂ - ‖m̂‖²)/(1-c),   ‖G‖² = (‖m̂‖² - c·q̂)/(1-c)
    /// ```
    ///
    /// That G stays put over the 1/(1-β1) steps that the means reach back is an assumption: its
    /// drift counts as noise, which delays the switch and never hastens it. The ratio is infinite
    /// where the estimate of ‖G‖² is not positive.
    NoiseScale {
        /// The largest ratio that fires.
        threshold: f64,
    },
    /// Never: Adam throughout.
    Never,
    /// At once: L-BFGS throughout.
    Immediately,
    /// At least one of these.
    AnyOf(Vec<Criterion>),
    /// All of these.
    AllOf(Vec<Criterion>),
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Epoch(_) => "epoch",
            Self::Step(_) => "step",
            Self::GradNorm { relative: true, .. } => "relative gradient norm",
            Self::GradNorm { .. } => "gradient norm",
            Self::LossLevel { .. } => "loss level",
            Self::LossDecrease { .. } => "loss decrease",
            Self::NoiseScale { .. } => "noise scale",
            Self::Never => "never",
            Self::Immediately => "immediately",
            Self::AnyOf(_) => "any of",
            Self::AllOf(_) => "all of",
        })
    }
}

/// One evaluation of a criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriterionRecord {
    /// Steps made before.
    pub step: u64,
    /// The epoch.
    pub epoch: u64,
    /// The criterion's name.
    pub criterion: String,
    /// What it saw.
    #[serde(with = "exact")]
    pub value: f64,
    /// What it compared that with.
    #[serde(with = "exact")]
    pub threshold: f64,
    /// Whether it holds.
    pub fired: bool,
}

/// Numbers as text: JSON has no infinity, and need not keep the last digit.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Criterion {
    /// The simple criteria that it is made of.
    fn leaves(&self) -> Vec<&Criterion> {
        match self {
            Self::AnyOf(parts) | Self::AllOf(parts) => {
                parts.iter().flat_map(Criterion::leaves).collect()
            }
            leaf => vec![leaf],
        }
    }

    pub(super) fn uses_noise_scale(&self) -> bool {
        let mut leaves = self.leaves().into_iter();
        leaves.any(|leaf| matches!(leaf, Self::NoiseScale { .. }))
    }

    /// How many losses must be remembered.
    fn losses_needed(&self) -> usize {
        let leaves = self.leaves().into_iter().map(|leaf| match leaf {
            Self::LossDecrease { window, .. } => 2 * window,
            Self::LossLevel { .. } => 1,
            _ => 0,
        });
        leaves.max().unwrap_or(0)
    }

    /// Refuses settings that are out of range, and a noise scale whose moment holds more than the
    /// gradient.
    pub(super) fn validate(&self, adam: &AdamConfig) -> Result<()> {
        match self {
            Self::GradNorm { threshold, .. } => check::non_negative("threshold", *threshold),
            Self::LossLevel { threshold } => check::that(
                threshold.is_finite(),
                "threshold",
                threshold,
                "a finite number",
            ),
            Self::LossDecrease {
                window,
                min_relative_decrease,
            } => {
                check::that(*window > 0, "window", window, "at least 1")?;
                check::non_negative("min_relative_decrease", *min_relative_decrease)
            }
            Self::NoiseScale { threshold } => {
                check::positive("threshold", *threshold)?;
                let coupled = adam.weight_decay_kind == WeightDecay::Coupled;
                check::that(
                    !coupled || adam.weight_decay == 0.0,
                    "weight_decay",
                    adam.weight_decay,
                    "0 or decoupled beside the noise-scale criterion",
                )?;
                check::positive("beta1", adam.beta1)
            }
            Self::AnyOf(parts) | Self::AllOf(parts) => {
                check::that(!parts.is_empty(), "criterion", self, "at least one part")?;
                parts.iter().try_for_each(|part| part.validate(adam))
            }
            Self::Epoch(_) | Self::Step(_) | Self::Never | Self::Immediately => Ok(()),
        }
    }

    /// Whether it holds; tells `record` of each simple criterion that could be judged. All parts
    /// are judged, so that the record does not depend on their order.
    pub(super) fn holds(
        &self,
        seen: &Seen,
        record: &mut impl FnMut(&Self, f64, f64, bool),
    ) -> bool {
        match self {
            Self::AnyOf(parts) | Self::AllOf(parts) => {
                let parts: Vec<bool> = parts.iter().map(|part| part.holds(seen, record)).collect();
                match self {
                    Self::AnyOf(_) => parts.contains(&true),
                    _ => !parts.contains(&false),
                }
            }
            leaf => {
                let Some((value, threshold)) = leaf.judge(seen) else {
                    return false;
                };
                let fired = match leaf {
                    Self::Epoch(_) | Self::Step(_) | Self::Never | Self::Immediately => {
                        value >= threshold
                    }
                    Self::LossLevel { .. } | Self::LossDecrease { .. } => value < threshold,
                    _ => value <= threshold,
                };
                record(leaf, value, threshold, fired);
                fired
            }
        }
    }

    /// What a simple criterion sees and what it compares that with, once there is something to see.
    fn judge(&self, seen: &Seen) -> Option<(f64, f64)> {
        match self {
            Self::Epoch(epoch) => Some((seen.epoch as f64, *epoch as f64)),
            Self::Step(step) => Some((seen.steps as f64, *step as f64)),
            Self::GradNorm {
                threshold,
                relative,
            } => {
                let scale = if *relative { seen.first_norm? } else { 1.0 };
                Some((seen.norm? / scale, *threshold))
            }
            Self::LossLevel { threshold } => Some((*seen.losses.back()?, *threshold)),
            Self::LossDecrease {
                window,
                min_relative_decrease,
            } => {
                let start = seen.losses.len().checked_sub(2 * window)?;
                let mean = |from: usize| {
                    let losses = seen.losses.range(from..from + window);
                    losses.sum::<f64>() / *window as f64
                };
                let (earlier, later) = (mean(start), mean(start + window));
                Some(((earlier - later) / earlier.abs(), *min_relative_decrease))
            }
            Self::NoiseScale { threshold } => Some((seen.noise?, *threshold)),
            Self::Never => Some((seen.steps as f64, f64::INFINITY)),
            Self::Immediately => Some((seen.steps as f64, 0.0)),
            Self::AnyOf(_) | Self::AllOf(_) => None,
        }
    }
}

/// What the criteria may look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) epoch: u64,
    pub(super) steps: u64,
    norm: Option<f64>,
    first_norm: Option<f64>,
    /// The latest losses, as many as the criterion needs.
    losses: VecDeque<f64>,
    losses_needed: usize,
    /// The running mean of ‖g‖², uncorrected, and the steps in it.
    squares: f64,
    squares_steps: u64,
    noise: Option<f64>,
}

impl Seen {
    pub(super) fn new(criterion: &Criterion) -> Self {
        Self {
            losses_needed: criterion.losses_needed(),
            ..Self::default()
        }
    }

    /// Takes note of a step.
    pub(super) fn observe(&mut self, step: &Step) {
        self.steps += 1;
        self.norm = Some(step.gradient_norm);
        self.first_norm.get_or_insert(step.gradient_norm);
        self.losses.push_back(step.final_loss.unwrap_or(step.loss));
        while self.losses.len() > self.losses_needed {
            self.losses.pop_front();
        }
    }

    /// Takes note of Adam's first moment, uncorrected, after a step whose gradient had norm `norm`.
    pub(super) fn observe_moment(&mut self, norm: f64, moment_norm: f64, beta1: f64) {
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
        state.set("squares_steps", self.squares_steps)?;
        let option = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let mut numbers = vec![
            option(self.norm),
            option(self.first_norm),
            option(self.noise),
            self.squares,
        ];
        numbers.extend(&self.losses);
        let numbers = candle_core::Tensor::new(numbers, &candle_core::Device::Cpu)?;
        state.tensors.insert("seen".into(), numbers);
        Ok(())
    }

    pub(super) fn load(&mut self, state: &State) -> Result<()> {
        let missing = || crate::Error::Checkpoint("tensor `seen` is missing or malformed".into());
        let numbers = state.tensors.get("seen").ok_or_else(missing)?;
        let numbers = numbers.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let [norm, first_norm, noise, squares, losses @ ..] = numbers.as_slice() else {
            return Err(missing());
        };
        // A NaN norm is a bad step's, which no criterion fires on: as good as none.
        let option = |value: &f64| Some(*value).filter(|value| !value.is_nan());
        *self = Self {
            epoch: state.get("epoch")?,
            steps: state.get("steps")?,
            norm: option(norm),
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
