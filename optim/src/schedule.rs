//! Learning-rate schedules: factors by step, and the optimizer that follows one.

use std::f64::consts::PI;
use std::fmt;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::Result;
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::Parameters;
use crate::record::{Diagnostics, Phase, Step, VectorPasses};
use crate::state::State;

/// A number of steps, given as such or as a share of a run's budget of evaluations.
///
/// Serialised as a whole number, or as `{ budget = 0.5 }`. A share becomes a number of steps once
/// the budget is known (`with_budget` of [`Schedule`] and of the settings that hold one): as many
/// as the share has evaluations, at least 1. This assumes one evaluation a step, as every method
/// that follows a schedule makes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a number of steps, or a share of the budget such as { budget = 0.5 }"
)]
pub enum Length {
    /// So many steps.
    Steps(u64),
    /// A share of the budget.
    Share {
        /// The share, above 0 and at most 1.
        budget: f64,
    },
}

impl From<u64> for Length {
    fn from(steps: u64) -> Self {
        Self::Steps(steps)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => steps.fmt(f),
            Self::Share { budget } => write!(f, "{{ budget = {budget} }}"),
        }
    }
}

impl Length {
    /// The number of steps within a budget of `evaluations`. A share out of range stays, for
    /// `check` to refuse.
    pub(crate) fn with_budget(self, evaluations: u64) -> Self {
        match self {
            Self::Share { budget } if is_share(budget) => {
                Self::Steps(share_of(evaluations, budget).max(1))
            }
            other => other,
        }
    }

    /// The number of steps; without end while it is a share.
    pub(crate) fn steps(self) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Share { .. } => u64::MAX,
        }
    }

    pub(crate) fn check(self, name: &'static str) -> Result<()> {
        let expected = match self {
            Self::Steps(1..) => return Ok(()),
            Self::Share { budget } if is_share(budget) => {
                "a number of steps, which `with_budget` makes of a share"
            }
            _ => "at least 1 step, or a share of the budget above 0 and at most 1",
        };
        check::that(false, name, self, expected)
    }
}

/// Whether a length can be this share of a budget.
fn is_share(share: f64) -> bool {
    share > 0.0 && share <= 1.0
}

/// A share, from 0 to 1, of a number of evaluations, rounded.
pub(crate) fn share_of(evaluations: u64, share: f64) -> u64 {
    (share * evaluations as f64).round() as u64
}

/// A factor of the learning rate for every step, counted from 0.
///
/// ```
/// use optim::Schedule;
///
/// let schedule = Schedule::WarmUp {
///     steps: 10.into(),
///     start_factor: 0.0,
///     then: Box::new(Schedule::Cosine { steps: 100.into(), final_factor: 0.1 }),
/// };
/// assert_eq!(schedule.factor(5), 0.5);
/// assert_eq!(schedule.factor(10), 1.0);
/// assert_eq!(schedule.factor(60), 0.55);
/// assert_eq!(schedule.factor(1000), 0.1);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// 1 for ever.
    // With braces, so that unknown keys are refused here too.
    Constant {},
    /// Multiplied by `factor` every so many steps: factor^⌊t / every⌋.
    Step {
        /// Steps between reductions, at least 1.
        every: Length,
        /// What each reduction multiplies by, ≥ 0.
        factor: f64,
    },
    /// Multiplied by `factor` at each of some points: factor^(points t has come to).
    MultiStep {
        /// The steps, at least 1, from which each further factor acts.
        at: Vec<Length>,
        /// What each point multiplies by, ≥ 0.
        factor: f64,
    },
    /// Half a cosine from 1 to `final_factor` over `steps` steps, then `final_factor`:
    /// f + (1 - f)·(1 + cos(πt/T))/2 (Loshchilov & Hutter, arXiv 1608.03983, without restarts).
    Cosine {
        /// The length T, at least 1.
        steps: Length,
        /// The last factor f, ≥ 0.
        #[serde(default)]
        final_factor: f64,
    },
    /// Linear from `start_factor` to 1 over `steps` steps, then another schedule from its start.
    WarmUp {
        /// The length, at least 1.
        steps: Length,
        /// The first factor, ≥ 0.
        #[serde(default)]
        start_factor: f64,
        /// What follows.
        then: Box<Schedule>,
    },
    /// Half a cosine from `start_factor` up to 1 over `warm_up` steps, then half a cosine down to
    /// `final_factor` at step `steps`, and `final_factor` from there on: the one-cycle policy of
    /// Smith & Topin, "Super-Convergence" (arXiv 1708.07120), in PyTorch's form. Of PyTorch's
    /// `total_steps` n and `pct_start` p, `warm_up` is p·n - 1 and `steps` n - 1.
    OneCycle {
        /// The steps of the rise, at least 1.
        warm_up: Length,
        /// The steps of rise and fall together, more than `warm_up`.
        steps: Length,
        /// The first factor, ≥ 0.
        #[serde(default = "one_cycle_start")]
        start_factor: f64,
        /// The last factor, ≥ 0.
        #[serde(default = "one_cycle_end")]
        final_factor: f64,
    },
    /// One schedule for `steps` steps, then another from its start.
    Sequence {
        /// What comes first.
        first: Box<Schedule>,
        /// For how long, at least 1.
        steps: Length,
        /// What follows.
        then: Box<Schedule>,
    },
}

/// A 25th, as in PyTorch.
fn one_cycle_start() -> f64 {
    0.04
}

/// A ten-thousandth of the first factor, as in PyTorch.
fn one_cycle_end() -> f64 {
    4e-6
}

/// Half a cosine from `from` to `to` over `length` steps, then `to`.
fn half_cosine(from: f64, to: f64, step: u64, length: u64) -> f64 {
    let progress = step.min(length) as f64 / length as f64;
    to + (from - to) * 0.5 * (1.0 + (PI * progress).cos())
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant {}
    }
}

impl Schedule {
    /// Linear from 0 to 1 over `warm_up`, then half a cosine to 0 over `steps`: what transformers are
    /// trained with.
    ///
    /// ```
    /// use optim::{AdamConfig, Schedule};
    ///
    /// let schedule = Schedule::warm_up_cosine(100.into(), 900.into());
    /// assert_eq!(schedule.factor(50), 0.5);
    /// assert!((schedule.factor(550) - 0.5).abs() < 1e-12);
    /// let adamw = AdamConfig { schedule, ..AdamConfig::adamw() };
    /// ```
    pub fn warm_up_cosine(warm_up: Length, steps: Length) -> Self {
        Self::WarmUp {
            steps: warm_up,
            start_factor: 0.0,
            then: Box::new(Self::Cosine {
                steps,
                final_factor: 0.0,
            }),
        }
    }

    /// The one-cycle policy over `steps`, of which `warm_up` rise, between PyTorch's first and last
    /// factors.
    ///
    /// ```
    /// use optim::{Schedule, SgdConfig};
    ///
    /// let schedule = Schedule::one_cycle(300.into(), 1000.into());
    /// assert_eq!(schedule.factor(300), 1.0);
    /// let sgd = SgdConfig { schedule, ..SgdConfig::nesterov() };
    /// ```
    pub fn one_cycle(warm_up: Length, steps: Length) -> Self {
        Self::OneCycle {
            warm_up,
            steps,
            start_factor: one_cycle_start(),
            final_factor: one_cycle_end(),
        }
    }

    /// Whether the rate never changes.
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Constant {})
    }

    /// The schedule of a run with a budget of `evaluations`, with shares of it as numbers of steps.
    #[must_use]
    pub fn with_budget(&self, evaluations: u64) -> Self {
        let length = |length: &Length| length.with_budget(evaluations);
        let inner = |schedule: &Self| Box::new(schedule.with_budget(evaluations));
        match self {
            Self::Constant {} => Self::Constant {},
            Self::Step { every, factor } => Self::Step {
                every: length(every),
                factor: *factor,
            },
            Self::MultiStep { at, factor } => Self::MultiStep {
                at: at.iter().map(length).collect(),
                factor: *factor,
            },
            Self::Cosine {
                steps,
                final_factor,
            } => Self::Cosine {
                steps: length(steps),
                final_factor: *final_factor,
            },
            Self::OneCycle {
                warm_up,
                steps,
                start_factor,
                final_factor,
            } => Self::OneCycle {
                warm_up: length(warm_up),
                steps: length(steps),
                start_factor: *start_factor,
                final_factor: *final_factor,
            },
            Self::WarmUp {
                steps,
                start_factor,
                then,
            } => Self::WarmUp {
                steps: length(steps),
                start_factor: *start_factor,
                then: inner(then),
            },
            Self::Sequence { first, steps, then } => Self::Sequence {
                first: inner(first),
                steps: length(steps),
                then: inner(then),
            },
        }
    }

    /// The factor of step `step`, counted from 0. Lengths must not be shares of a budget any more.
    pub fn factor(&self, step: u64) -> f64 {
        match self {
            Self::Constant {} => 1.0,
            Self::Step { every, factor } => factor.powf((step / every.steps()) as f64),
            Self::MultiStep { at, factor } => {
                let passed = at.iter().filter(|point| step >= point.steps()).count();
                factor.powf(passed as f64)
            }
            Self::Cosine {
                steps,
                final_factor,
            } => half_cosine(1.0, *final_factor, step, steps.steps()),
            Self::OneCycle {
                warm_up,
                steps,
                start_factor,
                final_factor,
            } => match step.checked_sub(warm_up.steps()) {
                Some(step) => {
                    let fall = steps.steps() - warm_up.steps();
                    half_cosine(1.0, *final_factor, step, fall)
                }
                None => half_cosine(*start_factor, 1.0, step, warm_up.steps()),
            },
            Self::WarmUp {
                steps,
                start_factor,
                then,
            } => match step.checked_sub(steps.steps()) {
                Some(step) => then.factor(step),
                None => {
                    let progress = step as f64 / steps.steps() as f64;
                    start_factor + (1.0 - start_factor) * progress
                }
            },
            Self::Sequence { first, steps, then } => match step.checked_sub(steps.steps()) {
                Some(step) => then.factor(step),
                None => first.factor(step),
            },
        }
    }

    /// Whether all settings are in range, and no length a share of a budget that is not known.
    ///
    /// # Errors
    /// [`Error::HyperParameter`](crate::Error::HyperParameter) for the first that is not.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Constant {} => Ok(()),
            Self::Step { every, factor } => {
                every.check("schedule.every")?;
                check::non_negative("schedule.factor", *factor)
            }
            Self::MultiStep { at, factor } => {
                check::that(!at.is_empty(), "schedule.at", "[]", "at least one point")?;
                at.iter().try_for_each(|point| point.check("schedule.at"))?;
                check::non_negative("schedule.factor", *factor)
            }
            Self::Cosine {
                steps,
                final_factor,
            } => {
                steps.check("schedule.steps")?;
                check::non_negative("schedule.final_factor", *final_factor)
            }
            Self::OneCycle {
                warm_up,
                steps,
                start_factor,
                final_factor,
            } => {
                warm_up.check("schedule.warm_up")?;
                steps.check("schedule.steps")?;
                let longer = steps.steps() > warm_up.steps();
                check::that(longer, "schedule.steps", steps, "more than `warm_up`")?;
                check::non_negative("schedule.start_factor", *start_factor)?;
                check::non_negative("schedule.final_factor", *final_factor)
            }
            Self::WarmUp {
                steps,
                start_factor,
                then,
            } => {
                steps.check("schedule.steps")?;
                check::non_negative("schedule.start_factor", *start_factor)?;
                then.check()
            }
            Self::Sequence { first, steps, then } => {
                first.check()?;
                steps.check("schedule.steps")?;
                then.check()
            }
        }
    }
}

/// An optimizer of any kind whose learning rate follows a [`Schedule`]: its rate when it was
/// wrapped, times the factor of the step. Adam and SGD have a schedule among their settings.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, Schedule, Scheduled, SgdConfig};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[1f64], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let sgd = SgdConfig { learning_rate: 0.25, ..SgdConfig::default() }.build(&parameters)?;
/// let mut sgd = Scheduled::new(sgd, Schedule::Step { every: 1.into(), factor: 0.5 })?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// for expected in [0.5, 0.375] {
///     sgd.step(&mut Oracle::new(&mut objective, &mut meter))?;
///     assert_eq!(x.to_vec1::<f64>()?, [expected]);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Scheduled<O> {
    optimizer: O,
    schedule: Schedule,
    base: f64,
    steps: u64,
}

impl<O: Optimizer> Scheduled<O> {
    const KIND: &str = "scheduled";

    /// Makes `optimizer` follow `schedule`.
    ///
    /// # Errors
    /// When the schedule has a setting out of range.
    pub fn new(optimizer: O, schedule: Schedule) -> Result<Self> {
        schedule.check()?;
        Ok(Self {
            base: optimizer.learning_rate(),
            optimizer,
            schedule,
            steps: 0,
        })
    }

    /// The optimizer inside.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }
}

impl<O: Optimizer> Optimizer for Scheduled<O> {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        self.optimizer.set_learning_rate(self.learning_rate())?;
        let step = self.optimizer.step(oracle)?;
        self.steps += 1;
        Ok(step)
    }

    fn start_epoch(&mut self, epoch: u64) {
        self.optimizer.start_epoch(epoch);
    }

    fn parameters(&self) -> &Parameters {
        self.optimizer.parameters()
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64 {
        self.base * self.schedule.factor(self.steps)
    }

    /// Sets the learning rate that the schedule's factors multiply.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.base = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        self.optimizer.phase()
    }

    fn state_elements(&self) -> u64 {
        self.optimizer.state_elements()
    }

    fn vector_passes(&self) -> VectorPasses {
        self.optimizer.vector_passes()
    }

    fn evaluation_parameters(&self) -> Result<Option<Vec<Tensor>>> {
        self.optimizer.evaluation_parameters()
    }

    fn samples_wanted(&self) -> Option<u64> {
        self.optimizer.samples_wanted()
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        self.optimizer.diagnostics()
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, self.parameters());
        state.set_config(&self.schedule)?;
        state.set_float("base", self.base);
        state.set("steps", self.steps)?;
        state.nest("optimizer", self.optimizer.state()?);
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, self.parameters())?;
        state.check_config(&self.schedule)?;
        let (base, steps) = (state.float("base")?, state.get("steps")?);
        self.optimizer.restore(&state.nested("optimizer")?)?;
        (self.base, self.steps) = (base, steps);
        Ok(())
    }
}
