//! When to hand over from Adam to L-BFGS.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::statistics::Statistics;
use crate::check;
use crate::error::Result;
use crate::first_order::{AdamConfig, WeightDecay};
use crate::schedule::share_of;

/// A condition on the run so far. It is judged before each step, from the losses and gradients of
/// the steps before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Criterion {
    /// From epoch n on, counted from 0. The paper's choice, with n = 5.
    Epoch(u64),
    /// After n steps.
    Step(u64),
    /// After n evaluations, with or without gradient.
    Evaluations(u64),
    /// After this share, from 0 to 1, of the run's budget of evaluations.
    /// [`FusePvConfig::with_budget`](super::FusePvConfig::with_budget) makes it a number of
    /// [`Evaluations`](Self::Evaluations), without which nothing can be built.
    Budget(f64),
    /// The last step's gradient norm ‖g‖₂ is at most `threshold`, times the first finite norm of
    /// the run if `relative`.
    GradNorm {
        /// The largest norm that fires.
        threshold: f64,
        /// Whether the norm is divided by the first finite one.
        #[serde(default)]
        relative: bool,
    },
    /// The last step's loss is finite and below `threshold`: the loss where the step ended if it
    /// was evaluated there (L-BFGS), else where it began (Adam).
    LossLevel {
        /// The level.
        threshold: f64,
    },
    /// The loss has ceased to decrease: (a - b)/|a| is below `min_relative_decrease`, where b is
    /// the mean loss of the last `window` steps and a that of the `window` steps before. It does
    /// not fire while a loss among these is not finite.
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
    /// This assumes that G does not change over the 1/(1-β1) steps that the means reach back. Where
    /// it does, the change counts as noise, so that the switch comes later, never earlier. The
    /// ratio is infinite where the estimate of ‖G‖² is not positive.
    NoiseScale {
        /// The largest ratio that fires.
        threshold: f64,
    },
    /// Adam has slowed down: the loss's decrease over the last `window` steps, the mean of these
    /// below that of the `window` steps before, is at most `share` of the largest such decrease so
    /// far. Unlike [`LossDecrease`](Self::LossDecrease) it depends neither on the loss's unit nor on
    /// the value that it falls to. It does not fire before there was any decrease.
    Progress {
        /// Steps in each mean.
        window: usize,
        /// The share at which it fires.
        share: f64,
    },
    /// Adam's steps have become those of SGD at a settled learning rate: |λ̂ - γ| is at most
    /// `tolerance`·|λ̂|, where
    ///
    /// ```text
    /// γ = pᵀp / (-pᵀg)                             SGD's rate, projected on Adam's last move p
    /// λ ← β2·λ + (1 - β2)·γ,   λ̂ = λ/(1 - β2ᵏ)     its running mean over k steps
    /// ```
    ///
    /// The rule by which SWATS goes from Adam to SGD (Keskar & Socher, arXiv 1712.07628), with a
    /// relative tolerance for its absolute one of 1e-9.
    ProjectedRate {
        /// The largest relative difference that fires.
        tolerance: f64,
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
            Self::Evaluations(_) => "evaluations",
            Self::Budget(_) => "budget",
            Self::GradNorm { relative: true, .. } => "relative gradient norm",
            Self::GradNorm { .. } => "gradient norm",
            Self::LossLevel { .. } => "loss level",
            Self::LossDecrease { .. } => "loss decrease",
            Self::NoiseScale { .. } => "noise scale",
            Self::Progress { .. } => "progress",
            Self::ProjectedRate { .. } => "projected rate",
            Self::Never => "never",
            Self::Immediately => "immediately",
            Self::AnyOf(_) => "any of",
            Self::AllOf(_) => "all of",
        })
    }
}

impl Criterion {
    /// The criterion of a run with a budget of `evaluations`. A share out of range stays, for
    /// `validate` to refuse.
    pub(super) fn with_budget(self, evaluations: u64) -> Self {
        let of_parts = |parts: Vec<Self>| {
            let parts = parts.into_iter();
            parts.map(|part| part.with_budget(evaluations)).collect()
        };
        match self {
            Self::Budget(share) if (0.0..=1.0).contains(&share) => {
                Self::Evaluations(share_of(evaluations, share))
            }
            Self::AnyOf(parts) => Self::AnyOf(of_parts(parts)),
            Self::AllOf(parts) => Self::AllOf(of_parts(parts)),
            other => other,
        }
    }

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

    pub(super) fn uses_projected_rate(&self) -> bool {
        let mut leaves = self.leaves().into_iter();
        leaves.any(|leaf| matches!(leaf, Self::ProjectedRate { .. }))
    }

    /// The windows over which the largest decrease must be remembered.
    pub(super) fn progress_windows(&self) -> Vec<usize> {
        let leaves = self.leaves().into_iter();
        let windows = leaves.filter_map(|leaf| match leaf {
            Self::Progress { window, .. } => Some(*window),
            _ => None,
        });
        windows.collect()
    }

    /// How many losses must be remembered.
    pub(super) fn losses_needed(&self) -> usize {
        let leaves = self.leaves().into_iter().map(|leaf| match leaf {
            Self::LossDecrease { window, .. } | Self::Progress { window, .. } => {
                window.saturating_mul(2)
            }
            Self::LossLevel { .. } => 1,
            _ => 0,
        });
        leaves.max().unwrap_or(0)
    }

    /// Refuses settings that are out of range, and the noise scale where Adam's moment contains
    /// more than the gradient: with coupled weight decay.
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
            Self::Progress { window, share } => {
                check::that(*window > 0, "window", window, "at least 1")?;
                check::that((0.0..1.0).contains(share), "share", share, "0 <= share < 1")
            }
            Self::ProjectedRate { tolerance } => check::positive("tolerance", *tolerance),
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
            Self::Budget(share) => {
                let expected = match share {
                    0.0..=1.0 => "a number of evaluations, which `with_budget` makes of a share",
                    _ => "a share of the budget from 0 to 1",
                };
                check::that(false, "criterion.budget", share, expected)
            }
            Self::Epoch(_)
            | Self::Step(_)
            | Self::Evaluations(_)
            | Self::Never
            | Self::Immediately => Ok(()),
        }
    }

    /// Whether it holds. Calls `record` with each simple criterion that could be judged. All parts
    /// are judged, so that the record does not depend on their order.
    pub(super) fn holds(
        &self,
        statistics: &Statistics,
        record: &mut impl FnMut(&Self, f64, f64, bool),
    ) -> bool {
        match self {
            Self::AnyOf(parts) | Self::AllOf(parts) => {
                let parts: Vec<bool> = parts
                    .iter()
                    .map(|part| part.holds(statistics, record))
                    .collect();
                match self {
                    Self::AnyOf(_) => parts.contains(&true),
                    _ => !parts.contains(&false),
                }
            }
            leaf => {
                let Some((value, threshold)) = leaf.judge(statistics) else {
                    return false;
                };
                let fired = match leaf {
                    Self::Epoch(_)
                    | Self::Step(_)
                    | Self::Evaluations(_)
                    | Self::Never
                    | Self::Immediately => value >= threshold,
                    Self::LossLevel { .. } => value.is_finite() && value < threshold,
                    Self::LossDecrease { .. } => value < threshold,
                    _ => value <= threshold,
                };
                record(leaf, value, threshold, fired);
                fired
            }
        }
    }

    /// The number that a simple criterion judges and what it compares that with, once there is such
    /// a number.
    fn judge(&self, statistics: &Statistics) -> Option<(f64, f64)> {
        match self {
            Self::Epoch(epoch) => Some((statistics.epoch as f64, *epoch as f64)),
            Self::Step(step) => Some((statistics.steps as f64, *step as f64)),
            Self::Evaluations(count) => Some((statistics.evaluations as f64, *count as f64)),
            Self::GradNorm {
                threshold,
                relative,
            } => {
                let norm = statistics.norm?;
                let value = match relative {
                    // 0/0 where the first norm is 0 too.
                    true if norm == 0.0 => 0.0,
                    true => norm / statistics.first_norm?,
                    false => norm,
                };
                Some((value, *threshold))
            }
            Self::LossLevel { threshold } => Some((*statistics.losses.back()?, *threshold)),
            Self::LossDecrease {
                window,
                min_relative_decrease,
            } => {
                let (earlier, later) = statistics.means(*window)?;
                let decrease = if !(earlier.is_finite() && later.is_finite()) {
                    f64::NAN
                } else if earlier == later {
                    // 0/0 where the loss is 0.
                    0.0
                } else {
                    (earlier - later) / earlier.abs()
                };
                Some((decrease, *min_relative_decrease))
            }
            Self::NoiseScale { threshold } => Some((statistics.noise.value?, *threshold)),
            Self::Progress { window, share } => {
                let (earlier, later) = statistics.means(*window)?;
                let largest = statistics.largest_decrease(*window)?;
                (largest > 0.0).then_some(((earlier - later) / largest, *share))
            }
            Self::ProjectedRate { tolerance } => Some((statistics.rate_change?, *tolerance)),
            Self::Never => Some((statistics.steps as f64, f64::INFINITY)),
            Self::Immediately => Some((statistics.steps as f64, 0.0)),
            // A share of an unknown budget is refused before anything is judged.
            Self::Budget(_) | Self::AnyOf(_) | Self::AllOf(_) => None,
        }
    }
}
