//! L-BFGS with pairs from running means, and a step of momentum: one evaluation a step, on whatever
//! batch.

use candle_core::{DType, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::config::{CurvatureGuard, InitialScaling};
use super::history::{self, History};
use crate::check;
use crate::error::Result;
use crate::kernels::lbfgs::{self as kernels, Move};
use crate::kernels::memory::zeros;
use crate::kernels::number::state_dtype;
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::Parameters;
use crate::record::{Counters, Diagnostics, Phase, Step, StopReason, VectorPasses};
use crate::schedule::Schedule;
use crate::state::State;

/// Settings of [`MomentumLbfgs`]; the defaults are the paper's where it gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MomentumLbfgsConfig {
    /// The learning rate η.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps.
    pub schedule: Schedule,
    /// The momentum μ of the step.
    pub momentum: f64,
    /// The weight decay λ, added to the gradient.
    pub weight_decay: f64,
    /// The decay rate of the parameters' running mean.
    pub parameter_decay: f64,
    /// The decay rate of the gradient's running mean.
    pub gradient_decay: f64,
    /// Steps between pairs.
    pub pair_every: u64,
    /// How many pairs are remembered.
    pub history_size: usize,
    /// How pairs are damped and which are skipped.
    pub guard: CurvatureGuard,
    /// The largest gᵀHg; where it is larger, Hg is scaled by the root of the ratio. No bound if
    /// not given.
    pub clip: Option<f64>,
}

impl Default for MomentumLbfgsConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.1,
            schedule: Schedule::default(),
            momentum: 0.9,
            weight_decay: 0.0,
            parameter_decay: 0.999,
            gradient_decay: 0.999,
            pair_every: 50,
            history_size: 10,
            guard: CurvatureGuard::Adaptive {
                share: 0.2,
                low: 0.01,
                high: 1.0,
                least: 1e-4,
            },
            clip: Some(0.005),
        }
    }
}

impl MomentumLbfgsConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of
    /// steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.schedule = self.schedule.with_budget(evaluations);
        self
    }

    pub(crate) fn validate(&self) -> Result<()> {
        check::non_negative("learning_rate", self.learning_rate)?;
        self.schedule.check()?;
        check::decay_rate("momentum", self.momentum)?;
        check::non_negative("weight_decay", self.weight_decay)?;
        check::decay_rate("parameter_decay", self.parameter_decay)?;
        check::decay_rate("gradient_decay", self.gradient_decay)?;
        let every = self.pair_every;
        check::that(every > 0, "pair_every", every, "at least 1")?;
        let size = self.history_size;
        check::that(size > 0, "history_size", size, "at least 1")?;
        self.guard.validate()?;
        match self.clip {
            Some(clip) => check::positive("clip", clip),
            None => Ok(()),
        }
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn build(self, parameters: &Parameters) -> Result<MomentumLbfgs> {
        self.validate()?;
        let dtype = state_dtype(parameters.dtype());
        let vector = || zeros(parameters.element_count(), dtype, parameters.device());
        Ok(MomentumLbfgs {
            history: History::new(
                self.history_size,
                self.guard,
                InitialScaling::Constant(1.0),
                dtype,
            ),
            point: vector()?,
            direction: vector()?,
            velocity: vector()?,
            means: [vector()?, vector()?],
            last_means: [vector()?, vector()?],
            parameters: parameters.clone(),
            learning_rate: self.learning_rate,
            steps: 0,
            passes: VectorPasses::default(),
            config: self,
        })
    }
}

/// Momentum-based L-BFGS (mL-BFGS). With running means θ̄ and ḡ of the parameters and the gradient,
/// each `pair_every` steps one pair of their changes since the last time, and at every step
///
/// ```text
/// θ̄ ← β₁·θ̄ + (1 - β₁)·θ,   ḡ ← β₂·ḡ + (1 - β₂)·g          both start as the first θ and g
/// s = θ̄ - θ̄',   y = φ·(ḡ - ḡ') + (1 - φ)·s                damped, see CurvatureGuard::Adaptive
/// p = min(1, √(clip / gᵀHg))·H·(g + λ·θ),   H from the pairs and H₀ = I
/// v ← μ·v + p,   θ ← θ - η·v
/// ```
///
/// So that batches need not be evaluated twice for a pair: the means take the noise out of it. Until
/// there is a pair it is SGD with momentum.
///
/// The cost in vectors: with n pairs a step reads 4n + 14 and writes 6, and 1 more of each where
/// there are several parameter tensors; without pairs it reads 11. One that forms a pair beside h
/// others, and then holds n, reads 4h + 2n + 25 and writes 13. Held are 2m + 2 vectors of pairs, and 7.
///
/// Source: Niu, Fabian, Lee, Soltanolkotabi & Avestimehr, "mL-BFGS: A Momentum-based L-BFGS for
/// Distributed Large-Scale Neural Network Optimization" (TMLR 2023, arXiv 2307.13744), with the
/// clipping of the authors' code. Their code also scales y by the schedule's factor; here a pair
/// does not depend on the schedule.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, MomentumLbfgsConfig, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// // An ill-conditioned parabola.
/// let x = Var::new(&[1f64, 1.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut objective = Loss::new(&parameters, || {
///     (x.get(0)?.sqr()? * 0.5)? + (x.get(1)?.sqr()? * 0.005)?
/// });
/// let config = MomentumLbfgsConfig {
///     parameter_decay: 0.5,
///     gradient_decay: 0.5,
///     pair_every: 5,
///     ..MomentumLbfgsConfig::default()
/// };
/// let mut optimizer = config.build(&parameters)?;
/// let mut meter = Meter::new();
/// for _ in 0..300 {
///     optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// assert_eq!(meter.counts().gradient_evaluations, 300);
/// assert!(optimizer.diagnostics().counters.get("pairs-stored") > 0);
/// assert!(Oracle::new(&mut objective, &mut meter).loss()? < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MomentumLbfgs {
    config: MomentumLbfgsConfig,
    parameters: Parameters,
    history: History,
    /// The parameters as one vector.
    point: Var,
    /// s, then -H·g.
    direction: Var,
    velocity: Var,
    /// Of the parameters and of the gradient.
    means: [Var; 2],
    /// The means when the last pair was due.
    last_means: [Var; 2],
    /// The rate that the schedule's factors multiply.
    learning_rate: f64,
    steps: u64,
    passes: VectorPasses,
}

/// The vectors' names in a [`State`].
const VECTORS: [&str; 5] = [
    "velocity",
    "parameter_mean",
    "gradient_mean",
    "last_parameter_mean",
    "last_gradient_mean",
];

impl MomentumLbfgs {
    pub(crate) const KIND: &str = "momentum-lbfgs";

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &MomentumLbfgsConfig {
        &self.config
    }

    /// How many curvature pairs are held now.
    pub fn pairs_held(&self) -> usize {
        self.history.len()
    }

    fn vectors(&self) -> [&Var; 5] {
        let ([a, b], [c, d]) = (&self.means, &self.last_means);
        [&self.velocity, a, b, c, d]
    }

    /// Moves by one step from the `gradient` at `point`.
    fn update(&mut self, gradient: &Tensor) -> Result<()> {
        let decays = [self.config.parameter_decay, self.config.gradient_decay];
        let point = self.point.as_detached_tensor();
        for ((mean, new), decay) in self.means.iter().zip([&point, gradient]).zip(decays) {
            if self.steps == 0 {
                copy(new, mean, &mut self.passes)?;
            } else {
                combine(decay, mean, 1.0 - decay, new, &mut self.passes)?;
            }
        }
        let decayed = match self.config.weight_decay {
            0.0 => None,
            decay => {
                self.passes.reads += 2;
                self.passes.writes += 1;
                Some((gradient + (&point * decay)?)?)
            }
        };
        let decayed = decayed.as_ref().unwrap_or(gradient);

        let step = self.steps + 1;
        let due = step.is_multiple_of(self.config.pair_every) && step > 1;
        // The first time there are no earlier means.
        if due && step > self.first_due() {
            let [mean, _] = &self.means;
            let [last, last_gradient] = &self.last_means;
            kernels::displacement(
                std::slice::from_ref(mean),
                last,
                &self.direction,
                &mut self.passes,
            )?;
            let pair = Move {
                direction: &self.direction,
                step: 1.0,
                before: last_gradient,
                after: &self.means[1],
                damping: (1.0, 0.0),
            };
            self.history.extend(pair, decayed, &mut self.passes)?;
        } else {
            self.history.project(decayed, &mut self.passes)?;
        }
        if due {
            for (mean, last) in self.means.iter().zip(&self.last_means) {
                copy(mean, last, &mut self.passes)?;
            }
        }

        self.history
            .direction(decayed, &self.direction, &mut self.passes)?;
        let mut factor = 1.0;
        if let Some(clip) = self.config.clip
            && !self.history.is_empty()
        {
            let (slope, _) = kernels::slope(gradient, &self.direction, &mut self.passes)?;
            factor = (clip / -slope).sqrt().min(1.0);
        }
        let momentum = self.config.momentum;
        combine(
            momentum,
            &self.velocity,
            -factor,
            &self.direction,
            &mut self.passes,
        )?;
        let rate = self.learning_rate();
        kernels::step_along(
            self.parameters.vars(),
            &self.point,
            -rate,
            &self.velocity,
            &mut self.passes,
        )?;
        self.steps += 1;
        Ok(())
    }

    /// The first step, from 1, at which means are kept for a pair: means of one step are none.
    fn first_due(&self) -> u64 {
        self.config.pair_every.max(2)
    }
}

/// Sets `mean` to `a`·`mean` + `b`·`new`.
fn combine(a: f64, mean: &Var, b: f64, new: &Tensor, passes: &mut VectorPasses) -> Result<()> {
    passes.reads += 2;
    passes.writes += 1;
    let old = mean.as_detached_tensor();
    Ok(mean.set(&((old * a)? + (new * b)?)?)?)
}

fn copy(from: &Tensor, to: &Var, passes: &mut VectorPasses) -> Result<()> {
    passes.reads += 1;
    passes.writes += 1;
    Ok(to.set(from)?)
}

impl Optimizer for MomentumLbfgs {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let (loss, gradient) = oracle.loss_and_gradient()?;
        let dtype: DType = self.point.dtype();
        let gradient = kernels::flatten(gradient.tensors(), dtype, &mut self.passes)?;
        let norms = kernels::norms(&gradient, &mut self.passes)?;
        let finite = loss.is_finite() && norms.is_finite();
        if finite {
            kernels::flatten_into(self.parameters.vars(), &self.point, &mut self.passes)?;
            self.update(&gradient)?;
        }
        Ok(Step {
            loss,
            final_loss: None,
            gradient_norm: norms.euclidean,
            phase: Phase::SecondOrder,
            iterations: 1,
            stop: match finite {
                true => StopReason::Updated,
                false => StopReason::NonFinite,
            },
        })
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate * self.config.schedule.factor(self.steps)
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        Phase::SecondOrder
    }

    fn state_elements(&self) -> u64 {
        let d = self.parameters.element_count() as u64;
        self.history.elements() + (2 + VECTORS.len() as u64) * d
    }

    fn vector_passes(&self) -> VectorPasses {
        self.passes
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        let mut counters = Counters::default();
        self.history.counts.enter(&mut counters);
        Diagnostics {
            counters,
            ..Diagnostics::default()
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("steps", self.steps)?;
        state.set("passes", self.passes)?;
        self.history.save(&mut state)?;
        for (name, vector) in VECTORS.into_iter().zip(self.vectors()) {
            let vector = vector.as_detached_tensor().copy()?;
            state.tensors.insert(name.into(), vector);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let d = self.parameters.element_count();
        let (device, dtype) = (self.parameters.device().clone(), self.point.dtype());
        let learning_rate = state.float("learning_rate")?;
        let (steps, passes) = (state.get("steps")?, state.get("passes")?);
        let mut vectors = Vec::new();
        for name in VECTORS {
            vectors.push(history::var(
                history::tensor(state, name, &[d])?,
                dtype,
                &device,
            )?);
        }
        self.history.load(state, d, &device)?;
        for (vector, restored) in self.vectors().into_iter().zip(&vectors) {
            vector.set(restored)?;
        }
        (self.learning_rate, self.steps, self.passes) = (learning_rate, steps, passes);
        Ok(())
    }
}
