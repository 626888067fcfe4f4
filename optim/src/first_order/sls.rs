//! SGD whose step length a search chooses anew on each batch.

use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::Result;
use crate::kernels::lbfgs as kernels;
use crate::kernels::memory::zeros;
use crate::kernels::number::state_dtype;
use crate::line_search::{Backtracking, Outcome, Trial, armijo};
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::Parameters;
use crate::record::{Counters, Diagnostics, Phase, Step, StopReason, VectorPasses};
use crate::state::State;

/// Settings of [`Sls`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlsConfig {
    /// The step length before the first step.
    pub learning_rate: f64,
    /// The constant c in (0, 1) of the Armijo condition.
    pub c: f64,
    /// The factor β in (0, 1) by which a rejected step length is shortened.
    pub shrink: f64,
    /// Where the search of the next batch begins.
    pub reset: StepReset,
    /// Step lengths that are tried on a batch, at most.
    pub max_trials: u64,
}

/// The first step length that [`Sls`] tries on a batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum StepReset {
    /// The last batch's; it never grows (the authors' option 0).
    Keep,
    /// The last batch's times `factor`^(1/`steps`), which lets it grow by `factor` γ in so many steps,
    /// those of an epoch in the paper (the authors' option 1).
    Grow {
        /// γ ≥ 1.
        factor: f64,
        /// Steps, at least 1.
        steps: u64,
    },
    /// `learning_rate` (the authors' option 2).
    Initial,
}

impl Default for SlsConfig {
    /// The authors' defaults.
    fn default() -> Self {
        Self {
            learning_rate: 1.0,
            c: 0.1,
            shrink: 0.9,
            reset: StepReset::Grow {
                factor: 2.0,
                steps: 500,
            },
            max_trials: 100,
        }
    }
}

impl SlsConfig {
    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or the device refuses memory.
    pub fn build(self, parameters: &Parameters) -> Result<Sls> {
        check::positive("learning_rate", self.learning_rate)?;
        check::that(0.0 < self.c && self.c < 1.0, "c", self.c, "0 < c < 1")?;
        let shorter = 0.0 < self.shrink && self.shrink < 1.0;
        check::that(shorter, "shrink", self.shrink, "0 < shrink < 1")?;
        if let StepReset::Grow { factor, steps } = self.reset {
            let grows = factor >= 1.0 && factor.is_finite();
            check::that(grows, "reset.grow.factor", factor, "a finite number >= 1")?;
            check::that(steps > 0, "reset.grow.steps", steps, "at least 1")?;
        }
        let trials = self.max_trials;
        check::that(trials > 0, "max_trials", trials, "at least 1")?;
        let dtype = state_dtype(parameters.dtype());
        Ok(Sls {
            base: zeros(parameters.element_count(), dtype, parameters.device())?,
            parameters: parameters.clone(),
            learning_rate: self.learning_rate,
            searches: [0; 2],
            passes: VectorPasses::default(),
            config: self,
        })
    }
}

/// SGD with a stochastic line search.
///
/// ```text
/// η ← reset(η)
/// η ← β·η   while f(x - η·g) > f(x) - c·η·‖g‖²,   f and g of the step's batch
/// x ← x - η·g
/// ```
///
/// On models that can fit every sample it needs no schedule, and no learning rate but the first. Each
/// trial is an evaluation of the loss alone. Where none of `max_trials` meets the condition, the best point
/// tried is taken, or x where that is the best; the authors then make a step of 10⁻⁶.
///
/// A step reads 2 vectors and writes 1, and for each trial reads 2 and writes 1; where there are several
/// parameter tensors the gradient is copied, 1 and 1. One vector is held, the point where a step begins.
///
/// Source: Vaswani et al., "Painless Stochastic Gradient: Interpolation, Line-Search, and Convergence Rates"
/// (arXiv 1905.09997), algorithms 1 and 2.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, SlsConfig};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut sls = SlsConfig { shrink: 0.5, ..SlsConfig::default() }.build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || (x.sqr()? * 2.0)?.sum_all());
/// let mut meter = Meter::new();
/// let step = sls.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// // Lengths from 1 on are halved until f(3 - 12η) ≤ 18 - 0.1·144·η.
/// assert!((0.25..0.26).contains(&sls.learning_rate()));
/// assert!(step.final_loss < Some(0.01));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sls {
    config: SlsConfig,
    parameters: Parameters,
    /// The last batch's step length.
    learning_rate: f64,
    /// Where a step begins.
    base: Var,
    /// Searches, and those whose step length meets the condition.
    searches: [u64; 2],
    passes: VectorPasses,
}

impl Sls {
    const KIND: &str = "sls";

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &SlsConfig {
        &self.config
    }

    /// The first step length to try.
    fn first(&self) -> f64 {
        match self.config.reset {
            StepReset::Keep => self.learning_rate,
            StepReset::Grow { factor, steps } => {
                (self.learning_rate * factor.powf(1.0 / steps as f64)).min(f64::MAX)
            }
            StepReset::Initial => self.config.learning_rate,
        }
    }

    /// Moves from `base` against `gradient` as far as a search of at most `trials` says; returns the loss
    /// there, and whether the condition holds.
    fn search(
        &mut self,
        oracle: &mut Oracle<'_>,
        (loss, slope): (f64, f64),
        gradient: &Tensor,
        trials: u64,
    ) -> Result<(f64, bool)> {
        let first = self.first();
        let (vars, base, passes) = (self.parameters.vars(), &self.base, &mut self.passes);
        let mut tried = Vec::new();
        let mut phi = |t: f64| {
            kernels::step_along(vars, base, -t, gradient, passes)?;
            tried.push(t);
            Ok(Trial::new(t, oracle.trial_loss()?, 0.0, ()))
        };
        let start = Trial::new(0.0, loss, slope, ());
        let backtracking = Backtracking::Factor(self.config.shrink);
        let Outcome { best, satisfied } =
            armijo(&mut phi, start, first, self.config.c, backtracking, trials)?;
        oracle.end_trials(tried.iter().position(|t| *t == best.t))?;
        if best.t == 0.0 {
            kernels::unflatten(vars, base, passes)?;
        } else if tried.last() != Some(&best.t) {
            kernels::step_along(vars, base, -best.t, gradient, passes)?;
        }
        self.learning_rate = tried.last().copied().unwrap_or(first);
        Ok((best.loss, satisfied))
    }
}

impl Optimizer for Sls {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let (loss, gradient) = oracle.loss_and_gradient()?;
        let gradient = kernels::flatten(gradient.tensors(), self.base.dtype(), &mut self.passes)?;
        let norms = kernels::norms(&gradient, &mut self.passes)?;
        let mut step = Step {
            loss,
            final_loss: Some(loss),
            gradient_norm: norms.euclidean,
            phase: Phase::FirstOrder,
            iterations: 1,
            stop: StopReason::Updated,
        };
        let trials = self.config.max_trials.min(oracle.remaining());
        if !(loss.is_finite() && norms.is_finite()) {
            step.final_loss = None;
            step.stop = StopReason::NonFinite;
        } else if norms.euclidean == 0.0 {
            step.stop = StopReason::GradientTolerance;
        } else if trials == 0 {
            step.stop = StopReason::BudgetSpent;
        } else {
            kernels::flatten_into(self.parameters.vars(), &self.base, &mut self.passes)?;
            let slope = -norms.euclidean.powi(2);
            let (to, satisfied) = match self.search(oracle, (loss, slope), &gradient, trials) {
                Ok(found) => found,
                Err(error) => {
                    kernels::unflatten(self.parameters.vars(), &self.base, &mut self.passes)?;
                    oracle.end_trials(None)?;
                    return Err(error);
                }
            };
            self.searches[0] += 1;
            self.searches[1] += u64::from(satisfied);
            step.final_loss = Some(to);
            if !satisfied {
                step.stop = StopReason::LineSearchFailed;
            }
        }
        Ok(step)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The last step's length.
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
        self.base.elem_count() as u64
    }

    fn vector_passes(&self) -> VectorPasses {
        self.passes
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        let [made, satisfied] = self.searches;
        Diagnostics {
            counters: Counters::from([
                ("line-searches", made),
                ("line-searches-satisfied", satisfied),
            ]),
            ..Diagnostics::default()
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("searches", self.searches)?;
        state.set("passes", self.passes)?;
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let learning_rate = state.float("learning_rate")?;
        let (searches, passes) = (state.get("searches")?, state.get("passes")?);
        (self.learning_rate, self.searches, self.passes) = (learning_rate, searches, passes);
        Ok(())
    }
}
