//! L-BFGS: the inner iterations of one step, their stopping rules and their bookkeeping.

use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::config::{
    EvaluationLimit, HistoryPrecision, LbfgsConfig, PairSource, SAMPLE_TEST_EVALUATIONS, Tolerances,
};
use super::history::{self, History};
use super::noise::{Estimate, estimate};
use crate::check;
use crate::error::{Error, Result};
use crate::kernels::lbfgs::{self as kernels, Move};
use crate::kernels::memory::zeros;
use crate::kernels::number::state_dtype;
use crate::line_search::{
    Backtracking, Conditions, Levels, LineSearch, Outcome, Trial, armijo, noise_tolerant,
    strong_wolfe,
};
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::{Gradient, Parameters};
use crate::record::{Counters, Diagnostics, PairCounts, Phase, Step, StopReason, VectorPasses};
use crate::state::State;

impl LbfgsConfig {
    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn build(self, parameters: &Parameters) -> Result<Lbfgs> {
        self.validate(parameters.dtype())?;
        let d = parameters.element_count();
        let dtype = state_dtype(parameters.dtype());
        let pair_dtype = match self.history_precision {
            HistoryPrecision::Full => dtype,
            HistoryPrecision::Bf16 => DType::BF16,
        };
        Ok(Lbfgs {
            history: History::new(self.history_size, self.guard, self.scaling, pair_dtype),
            base: zeros(d, dtype, parameters.device())?,
            direction: zeros(d, dtype, parameters.device())?,
            parameters: parameters.clone(),
            lr: self.lr,
            fresh: true,
            first_gradient: None,
            curvatures: Vec::new(),
            errors: [self.noise.loss, self.noise.gradient],
            samples_wanted: None,
            last_move: None,
            counts: LbfgsCounts::default(),
            passes: VectorPasses::default(),
            config: self,
        })
    }
}

/// What became of curvature pairs and line searches so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LbfgsCounts {
    /// Pairs stored, skipped and damped.
    pub pairs: PairCounts,
    /// Line searches.
    pub searches: u64,
    /// Line searches whose point meets the search's conditions.
    pub satisfied_searches: u64,
    /// Line searches that found no better point.
    pub failed_searches: u64,
    /// Pairs taken over an interval that is not the step's, by a noise-tolerant search.
    #[serde(default)]
    pub lengthened: u64,
    /// Tests of the batch's size.
    #[serde(default)]
    pub sample_tests: u64,
    /// Of these, the ones for which the batch was too small.
    #[serde(default)]
    pub sample_tests_failed: u64,
    /// Times all pairs were dropped because a search failed, a direction was not one of descent or
    /// a value was not finite.
    pub restarts: u64,
}

impl From<LbfgsCounts> for Counters {
    fn from(counts: LbfgsCounts) -> Self {
        let mut counters = Self::from([
            ("line-searches", counts.searches),
            ("line-searches-satisfied", counts.satisfied_searches),
            ("line-searches-failed", counts.failed_searches),
            ("pairs-lengthened", counts.lengthened),
            ("sample-tests", counts.sample_tests),
            ("sample-tests-failed", counts.sample_tests_failed),
            ("restarts", counts.restarts),
        ]);
        counts.pairs.enter(&mut counters);
        counters
    }
}

/// Limited-memory BFGS.
///
/// With s = xₖ₊₁ - xₖ and y = ∇f(xₖ₊₁) - ∇f(xₖ) of the last m iterations, the inverse Hessian is
/// approximated by m BFGS updates of H₀ = γ·I, and
///
/// ```text
/// d = -H·∇f(x),   x ← x + t·d,   t from a line search
/// H ← (I - ρ·s·yᵀ)·H·(I - ρ·y·sᵀ) + ρ·s·sᵀ,   ρ = 1/sᵀy   for each pair, oldest first
/// ```
///
/// The cost in vectors read and written, which [`vector_passes`](Optimizer::vector_passes) counts:
///
/// - Pair and direction: two passes over the pairs. An iteration that holds n pairs, one of them
///   new, reads 4n + 2 vectors and writes 3. When all m are held it reads 4m + 4, because it also
///   reads the pair that it drops.
/// - Line search: each trial reads 4 and writes 1, for the move and the slope. The noise-tolerant
///   search reads the direction once more, and an estimate of noise costs 6 trials or more.
/// - The start of each move: reads 1 and writes 1.
///
/// Held are 2m + 2 vectors of pairs, the direction, the point where the last move began and the
/// gradient there. Between steps, same-batch pairs need the gradient where it ended too.
///
/// In half precision each move is rounded, and s is the move after rounding.
///
/// Sources: Liu & Nocedal, "On the limited memory BFGS method for large scale optimization" (1989);
/// Nocedal & Wright, "Numerical Optimization" (2nd ed. 2006), chapters 3 and 7.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{LbfgsConfig, Loss, Meter, Optimizer, Oracle, Parameters, StopReason};
///
/// # fn main() -> optim::Result<()> {
/// // Rosenbrock's function from its standard start.
/// let x = Var::new(&[-1.2f64, 1.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut objective = Loss::new(&parameters, || {
///     let (a, b) = (x.get(0)?, x.get(1)?);
///     ((b - a.sqr()?)?.sqr()? * 100.0)? + (1.0 - a)?.sqr()?
/// });
/// let mut lbfgs = LbfgsConfig { max_iter: 100, ..LbfgsConfig::default() }.build(&parameters)?;
/// let mut meter = Meter::new();
/// let step = lbfgs.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// assert!(step.final_loss < Some(1e-12));
/// assert_eq!(step.stop, StopReason::GradientTolerance);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Lbfgs {
    config: LbfgsConfig,
    parameters: Parameters,
    history: History,
    lr: f64,
    /// No iteration since the start or the last restart: the direction has no scale yet.
    fresh: bool,
    /// The largest component of the first gradient.
    first_gradient: Option<f64>,
    /// Of a noise-tolerant search: the latest curvatures dᵀ∇²f·d/‖d‖² of its pairs.
    curvatures: Vec<f64>,
    /// ε_f and ε_g, as given or as last estimated.
    errors: [f64; 2],
    /// The most that a test of the batch's size has asked for.
    samples_wanted: Option<u64>,
    /// Where the last move began, and its direction.
    base: Var,
    direction: Var,
    /// The last move, until its pair is formed.
    last_move: Option<LastMove>,
    counts: LbfgsCounts,
    passes: VectorPasses,
}

/// The relative spacing of a type's numbers.
fn rounding(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::BF16 => half::bf16::EPSILON.to_f64(),
        DType::F16 => half::f16::EPSILON.to_f64(),
        _ => f32::EPSILON.into(),
    }
}

/// The names of the errors in a [`State`].
const ERRORS: [&str; 2] = ["loss_error", "gradient_error"];

/// How many of the latest curvatures are kept, as in the authors' code.
const CURVATURES: usize = 10;

/// A move from `base` by `step`·`direction`, or the interval of its pair where that is another.
#[derive(Debug, Clone)]
struct LastMove {
    step: f64,
    /// The gradient where it began.
    before: Tensor,
    /// The gradient where it ended, unless that is the next iteration's.
    after: Option<Tensor>,
    /// Whether the loss where it ended was found finite.
    evaluated: bool,
}

/// A point of the inner iterations.
struct Point {
    loss: f64,
    gradient: Tensor,
    /// The gradient's largest component.
    largest: f64,
}

/// What an inner iteration did.
enum Iteration {
    /// Moved to a point that was evaluated.
    Moved { to: Point, largest_move: f64 },
    /// Moved without evaluating.
    MovedUnevaluated,
    /// Did not move.
    Stopped(StopReason),
}

impl Lbfgs {
    pub(crate) const KIND: &str = "lbfgs";

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &LbfgsConfig {
        &self.config
    }

    /// What became of curvature pairs and line searches so far.
    pub fn counts(&self) -> LbfgsCounts {
        LbfgsCounts {
            pairs: self.history.counts,
            ..self.counts
        }
    }

    /// ε_f and ε_g of the noise-tolerant search: as given, or as last estimated.
    pub fn errors(&self) -> (f64, f64) {
        (self.errors[0], self.errors[1])
    }

    /// How many curvature pairs are held now.
    pub fn pairs_held(&self) -> usize {
        self.history.len()
    }

    /// Forgets all curvature, so that the next direction is steepest descent.
    pub fn clear(&mut self) {
        self.history.clear();
        self.curvatures.clear();
        self.last_move = None;
        self.fresh = true;
    }

    /// Starts from H₀ = γ·D with `diagonal` D, one tensor per parameter; the memory is cleared.
    pub(crate) fn precondition(&mut self, diagonal: &Gradient) -> Result<()> {
        self.clear();
        let diagonal = kernels::flatten(diagonal.tensors(), self.base.dtype(), &mut self.passes)?;
        self.history.set_diagonal(diagonal);
        Ok(())
    }

    /// The gradient of the latest step: where its last move ended, or began if the end was not evaluated.
    pub(crate) fn last_gradient(&self) -> Result<Option<Gradient>> {
        let Some(last) = &self.last_move else {
            return Ok(None);
        };
        let gradient = last.after.as_ref().unwrap_or(&last.before);
        let mut begin = 0;
        let parts = self.parameters.vars().iter().map(|var| {
            let count = var.elem_count();
            let part = gradient.narrow(0, begin, count)?.reshape(var.shape())?;
            begin += count;
            part.to_dtype(var.dtype())
        });
        let parts = parts.collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Some(Gradient::of_state(parts)))
    }

    /// Marks where a move of another method begins, for [`finish_pair`](Self::finish_pair).
    pub(crate) fn begin_pair(&mut self) -> Result<()> {
        kernels::flatten_into(self.parameters.vars(), &self.base, &mut self.passes)
    }

    /// Offers the pair of a move of another method, from the gradients where it began and ended.
    pub(crate) fn finish_pair(&mut self, before: &Gradient, after: &Gradient) -> Result<()> {
        let dtype = self.base.dtype();
        let before = kernels::flatten(before.tensors(), dtype, &mut self.passes)?;
        let after = kernels::flatten(after.tensors(), dtype, &mut self.passes)?;
        self.last_move = Some(LastMove {
            step: 1.0,
            before,
            after: None,
            evaluated: true,
        });
        self.measure_last_move()?;
        self.store_last_move(&after)
    }

    /// Continues after another method has moved the parameters. In a pair that a later gradient
    /// completes, s then ends where the parameters are now; not in carried pairs, as in PyTorch.
    pub(crate) fn resume(&mut self) -> Result<()> {
        match self.config.pairs {
            PairSource::SameBatch | PairSource::Carried => Ok(()),
            PairSource::FullOverlap | PairSource::Overlap => self.measure_last_move(),
        }
    }

    /// Takes note that another method has moved the parameters after the last step.
    pub(crate) fn displaced(&mut self) -> Result<()> {
        match self.config.pairs {
            PairSource::SameBatch => Ok(()),
            PairSource::Carried | PairSource::FullOverlap | PairSource::Overlap => {
                self.measure_last_move()
            }
        }
    }

    fn restart(&mut self) {
        self.clear();
        self.counts.restarts += 1;
    }

    /// One step from a point that is evaluated already; `evaluations_before` is the number of
    /// evaluations before that one.
    pub(crate) fn step_from(
        &mut self,
        oracle: &mut Oracle<'_>,
        evaluations_before: u64,
        loss: f64,
        gradient: &Gradient,
    ) -> Result<Step> {
        let gradient = kernels::flatten(gradient.tensors(), self.base.dtype(), &mut self.passes)?;
        let norms = kernels::norms(&gradient, &mut self.passes)?;
        let mut step = Step {
            loss,
            final_loss: Some(loss),
            gradient_norm: norms.euclidean,
            phase: Phase::SecondOrder,
            iterations: 0,
            stop: StopReason::GradientTolerance,
        };
        if !(loss.is_finite() && norms.is_finite()) {
            // A move whose end was not evaluated may have led here: it is taken back. After any
            // other move the batch is at fault.
            if self.last_move.as_ref().is_some_and(|last| !last.evaluated) {
                kernels::unflatten(self.parameters.vars(), &self.base, &mut self.passes)?;
            }
            self.restart();
            step.final_loss = None;
            step.stop = StopReason::NonFinite;
            return Ok(step);
        }
        self.first_gradient.get_or_insert(norms.largest);
        if self.is_flat(norms.largest) {
            return Ok(step);
        }
        self.reevaluate_last_move(oracle)?;
        let mut point = Point {
            loss,
            gradient,
            largest: norms.largest,
        };
        loop {
            kernels::flatten_into(self.parameters.vars(), &self.base, &mut self.passes)?;
            step.iterations += 1;
            let iteration = match self.iterate(oracle, &point, step.iterations, evaluations_before)
            {
                Ok(iteration) => iteration,
                Err(error) => {
                    // The best point so far is where this iteration began.
                    kernels::unflatten(self.parameters.vars(), &self.base, &mut self.passes)?;
                    self.last_move = None;
                    oracle.end_trials(None)?;
                    return Err(error);
                }
            };
            let (to, largest_move) = match iteration {
                Iteration::Moved { to, largest_move } => (to, largest_move),
                Iteration::MovedUnevaluated => {
                    step.final_loss = None;
                    step.stop = self.limit_reached(&step, oracle, evaluations_before);
                    return Ok(step);
                }
                Iteration::Stopped(reason) => {
                    step.stop = reason;
                    return Ok(step);
                }
            };
            let unchanged = self.is_unchanged(point.loss, to.loss, largest_move);
            point = to;
            step.final_loss = Some(point.loss);
            let spent = oracle.counts().evaluations() - evaluations_before;
            let converged = if self.is_flat(point.largest) {
                Some(StopReason::GradientTolerance)
            } else {
                unchanged.then_some(StopReason::ChangeTolerance)
            };
            let at_limit = step.iterations == self.config.max_iter
                || spent >= self.config.max_eval()
                || oracle.remaining() == 0;
            if converged.is_some() || at_limit {
                step.stop = converged
                    .unwrap_or_else(|| self.limit_reached(&step, oracle, evaluations_before));
                self.finish_last_move(point.gradient);
                return Ok(step);
            }
        }
    }

    /// Whether a gradient with this largest component is within its tolerance.
    fn is_flat(&self, largest: f64) -> bool {
        let unit = match self.config.tolerances {
            Tolerances::Absolute => 1.0,
            Tolerances::Relative => self.first_gradient.unwrap_or(0.0),
        };
        largest <= self.config.tolerance_grad * unit
    }

    /// Whether an iteration's change is within its tolerance. A move along a gradient that no pair
    /// scales may be tiny anywhere, so its relative change is no sign of a minimum.
    fn is_unchanged(&self, from: f64, to: f64, largest_move: f64) -> bool {
        let (change, tolerance) = ((to - from).abs(), self.config.tolerance_change);
        match self.config.tolerances {
            Tolerances::Absolute => change < tolerance || largest_move <= tolerance,
            Tolerances::Relative => {
                !self.history.is_empty() && change < tolerance * from.abs().max(to.abs())
            }
        }
    }

    /// Which limit ends a step.
    fn limit_reached(
        &self,
        step: &Step,
        oracle: &Oracle<'_>,
        evaluations_before: u64,
    ) -> StopReason {
        if step.iterations == self.config.max_iter {
            StopReason::MaxIterations
        } else if oracle.counts().evaluations() - evaluations_before >= self.config.max_eval() {
            StopReason::MaxEvaluations
        } else {
            StopReason::BudgetSpent
        }
    }

    /// Inner iteration `number` (from 1) of a step, from `base`: pair, direction, line search.
    fn iterate(
        &mut self,
        oracle: &mut Oracle<'_>,
        from: &Point,
        number: u64,
        evaluations_before: u64,
    ) -> Result<Iteration> {
        let searching = self.config.line_search != LineSearch::Fixed;
        if searching && oracle.remaining() == 0 {
            return Ok(Iteration::Stopped(StopReason::BudgetSpent));
        }
        let (slope, largest) = self.find_direction(&from.gradient)?;
        if !(slope < 0.0 && largest.is_finite()) {
            self.restart();
            return Ok(Iteration::Stopped(StopReason::NotDescent));
        }
        if let (1, Some(theta)) = (number, self.config.sample_test) {
            self.test_sample(oracle, theta)?;
        }
        let first = self.first_step(&from.gradient)?;
        self.fresh = false;
        let absolute = self.config.tolerances == Tolerances::Absolute;
        if absolute && slope > -self.config.tolerance_change {
            return Ok(Iteration::Stopped(StopReason::ChangeTolerance));
        }
        if searching {
            let spent = oracle.counts().evaluations() - evaluations_before;
            self.search(oracle, from, (slope, largest), first, spent)
        } else {
            let last = number == self.config.max_iter || oracle.remaining() == 0;
            self.move_fixed(oracle, from, largest, first, last)
        }
    }

    /// Sets the direction from `gradient`, the last move's pair included. Returns the slope and the
    /// direction's largest component.
    fn find_direction(&mut self, gradient: &Tensor) -> Result<(f64, f64)> {
        self.store_last_move(gradient)?;
        self.history
            .direction(gradient, &self.direction, &mut self.passes)
    }

    /// Offers the last move's pair, if there is one, and takes the products with `gradient`.
    fn store_last_move(&mut self, gradient: &Tensor) -> Result<()> {
        match self.last_move.take() {
            Some(last) => {
                let new = Move {
                    direction: &self.direction,
                    step: last.step,
                    before: &last.before,
                    after: last.after.as_ref().unwrap_or(gradient),
                    damping: (1.0, 0.0),
                };
                self.history.extend(new, gradient, &mut self.passes)
            }
            None => self.history.project(gradient, &mut self.passes),
        }
    }

    /// Tests by its samples' slopes along H²g whether the batch is large enough. There is no test
    /// where the budget would leave no evaluation for the move.
    fn test_sample(&mut self, oracle: &mut Oracle<'_>, theta: f64) -> Result<()> {
        if oracle.remaining() <= SAMPLE_TEST_EVALUATIONS {
            return Ok(());
        }
        let (vars, passes) = (self.parameters.vars(), &mut self.passes);
        let direction = self.direction.as_detached_tensor();
        let along = zeros(
            direction.elem_count(),
            direction.dtype(),
            direction.device(),
        )?;
        // -H·d is H²g. The products with d that this leaves behind are those with a gradient, which
        // the next direction takes anew.
        self.history.project(&direction, passes)?;
        self.history.direction(&direction, &along, passes)?;
        let square = kernels::norms(&direction, passes)?.euclidean.powi(2);
        let length = kernels::norms(&along, passes)?.euclidean;
        let size = 1.0 + kernels::norms(&self.base, passes)?.euclidean;
        let spacing = rounding(self.parameters.dtype()).sqrt() * size / length;
        let here = oracle.sample_losses()?;
        kernels::step_along(vars, &self.base, spacing, &along, passes)?;
        let there = oracle.sample_losses()?;
        kernels::unflatten(vars, &self.base, passes)?;
        let n = here.len();
        if n < 2 || there.len() != n {
            return Err(Error::NoSamples { found: there.len() });
        }
        let slopes = here.iter().zip(&there).map(|(a, b)| (b - a) / spacing);
        let slopes: Vec<f64> = slopes.collect();
        let mean = slopes.iter().sum::<f64>() / n as f64;
        let squares: f64 = slopes.iter().map(|slope| (slope - mean).powi(2)).sum();
        let needed = squares / (n - 1) as f64 / (theta * square).powi(2);
        self.counts.sample_tests += 1;
        // A number that is not finite asks for nothing.
        if needed.is_finite() && needed > n as f64 {
            self.counts.sample_tests_failed += 1;
            self.samples_wanted = self.samples_wanted.max(Some(needed.ceil() as u64));
        }
        Ok(())
    }

    /// The first step length to try.
    fn first_step(&mut self, gradient: &Tensor) -> Result<f64> {
        if !self.fresh || !self.history.is_empty() {
            return Ok(self.lr);
        }
        let vector = if self.history.has_diagonal() {
            &self.direction
        } else {
            // The same sum, as d = -γ·g; the gradient's is what PyTorch takes.
            gradient
        };
        let sum = kernels::norms(vector, &mut self.passes)?.sum;
        Ok(self.lr * (1.0 / sum).min(1.0))
    }

    /// Moves by a line search and evaluates no more than the limits allow.
    fn search(
        &mut self,
        oracle: &mut Oracle<'_>,
        from: &Point,
        (slope, largest): (f64, f64),
        first: f64,
        spent: u64,
    ) -> Result<Iteration> {
        let left = self.config.max_eval().saturating_sub(spent);
        let allowed = match self.config.evaluation_limit {
            EvaluationLimit::Strict => left,
            EvaluationLimit::Torch26 => left.saturating_add(1),
            EvaluationLimit::Torch25 => 26,
        };
        let trials = allowed.min(oracle.remaining());
        if trials == 0 {
            return Ok(Iteration::Stopped(StopReason::MaxEvaluations));
        }
        let (levels, length) = self.noise_levels(oracle, from.loss, slope)?;
        let trials = trials.min(oracle.remaining());
        let (vars, passes) = (self.parameters.vars(), &mut self.passes);
        let (base, direction) = (&self.base, &self.direction);
        // Differences from the start have digits that the losses have not.
        let rounding = self.config.loss_rounding * from.loss.abs();
        let origin = if rounding > 0.0 { from.loss } else { 0.0 };
        let mut tried = Vec::new();
        let mut finite = true;
        let mut phi = |t: f64| {
            kernels::step_along(vars, base, t, direction, passes)?;
            tried.push(t);
            let (loss, gradient) = oracle.trial()?;
            let gradient = kernels::flatten(gradient.tensors(), base.dtype(), passes)?;
            let (end_slope, largest) = kernels::slope(&gradient, direction, passes)?;
            let judged = match (loss - from.loss).abs() < rounding {
                true => 0.5 * t * (slope + end_slope),
                false => loss - origin,
            };
            let trial = Trial::new(t, judged, end_slope, (gradient, largest, loss));
            finite = trial.is_finite();
            Ok(trial)
        };
        let gradient = from.gradient.clone();
        let start = (gradient, from.largest, from.loss);
        let start = Trial::new(0.0, from.loss - origin, slope, start);
        let conditions = Conditions {
            c1: self.config.c1,
            c2: self.config.c2,
        };
        let mut curvature = None;
        let Outcome { best, satisfied } = match self.config.line_search {
            LineSearch::Armijo => {
                let (c1, backtracking) = (conditions.c1, Backtracking::Parabola);
                armijo(&mut phi, start, first, c1, backtracking, trials)?
            }
            LineSearch::NoiseTolerant => {
                let split = noise_tolerant(&mut phi, start, first, conditions, levels, trials)?;
                curvature = split.curvature;
                split.outcome
            }
            LineSearch::StrongWolfe | LineSearch::Fixed => {
                let (tolerance, kind) = (self.config.tolerance_change, self.config.tolerances);
                let narrow = |a: f64, b: f64| {
                    let width = (b - a).abs();
                    match kind {
                        Tolerances::Absolute => width * largest < tolerance,
                        Tolerances::Relative => width < tolerance * a.max(b),
                    }
                };
                strong_wolfe(&mut phi, start, first, conditions, narrow, trials)?
            }
        };
        oracle.end_trials(tried.iter().rposition(|t| *t == best.t))?;
        self.counts.searches += 1;
        self.counts.satisfied_searches += u64::from(satisfied);
        if let Some(end) = &curvature {
            self.curvatures
                .push((end.slope - slope) / (end.t * length * length));
            let forgotten = self.curvatures.len().saturating_sub(CURVATURES);
            self.curvatures.drain(..forgotten);
        }
        if best.t == 0.0 {
            kernels::unflatten(self.parameters.vars(), &self.base, &mut self.passes)?;
            self.counts.failed_searches += 1;
            if let Some(end) = curvature {
                // The pair improves the direction from the same point.
                self.record_lengthened(end.t, &from.gradient, end.gradient.0);
            } else if self.config.restart {
                self.restart();
            }
            return Ok(Iteration::Stopped(if finite {
                StopReason::LineSearchFailed
            } else {
                StopReason::NonFinite
            }));
        }
        if tried.last() != Some(&best.t) {
            let (base, direction) = (&self.base, &self.direction);
            kernels::step_along(
                self.parameters.vars(),
                base,
                best.t,
                direction,
                &mut self.passes,
            )?;
        }
        match curvature {
            Some(end) if end.t != best.t => {
                self.record_lengthened(end.t, &from.gradient, end.gradient.0);
            }
            None if self.config.line_search == LineSearch::NoiseTolerant => {
                self.history.counts.skipped += 1;
            }
            _ => self.record_move(best.t, &from.gradient, true)?,
        }
        let (gradient, largest_gradient, loss) = best.gradient;
        Ok(Iteration::Moved {
            to: Point {
                loss,
                gradient,
                largest: largest_gradient,
            },
            largest_move: best.t * largest,
        })
    }

    /// The errors along the direction, and the direction's length.
    fn noise_levels(
        &mut self,
        oracle: &mut Oracle<'_>,
        loss: f64,
        slope: f64,
    ) -> Result<(Levels, f64)> {
        let noise = self.config.noise;
        let length = match self.config.line_search {
            LineSearch::NoiseTolerant => {
                kernels::norms(&self.direction, &mut self.passes)?.euclidean
            }
            _ => 0.0,
        };
        if noise
            .estimate_every
            .is_some_and(|every| self.counts.searches.is_multiple_of(every))
        {
            self.estimate_errors(oracle, loss, slope, length)?;
        }
        let [error, gradient_error] = self.errors;
        // A function at least so convex as the latest pairs has slopes that differ by more than
        // their errors over this interval.
        let least = self.curvatures.iter().copied().reduce(f64::min);
        let least_interval = least.map_or(0.0, |least| {
            (1.0 + noise.control) * 2.0 * gradient_error / (least * length)
        });
        let levels = Levels {
            loss: error,
            slope: gradient_error * length,
            control: noise.control,
            least_interval,
        };
        Ok((levels, length))
    }

    /// Estimates the errors of losses and slopes from the start's and six more points of the
    /// direction, of this `length`. What cannot be estimated stays as it is.
    fn estimate_errors(
        &mut self,
        oracle: &mut Oracle<'_>,
        loss: f64,
        slope: f64,
        length: f64,
    ) -> Result<()> {
        const POINTS: u64 = 6;
        let bound = |rms: f64| 3f64.sqrt() * rms;
        let mut spacing = 1e-4;
        let mut found = [false; 2];
        for _ in 0..3 {
            // One evaluation is left for the search.
            if oracle.remaining() <= POINTS {
                return Ok(());
            }
            let (mut losses, mut slopes) = (vec![loss], vec![slope / length]);
            for i in 1..=POINTS {
                let t = i as f64 * spacing / length;
                let (vars, passes) = (self.parameters.vars(), &mut self.passes);
                kernels::step_along(vars, &self.base, t, &self.direction, passes)?;
                let (loss, gradient) = oracle.probe()?;
                let gradient = kernels::flatten(gradient.tensors(), self.base.dtype(), passes)?;
                losses.push(loss);
                slopes.push(kernels::slope(&gradient, &self.direction, passes)?.0 / length);
            }
            let estimates = [estimate(&losses), estimate(&slopes)];
            for ((error, found), estimate) in self.errors.iter_mut().zip(&mut found).zip(estimates)
            {
                if let (Estimate::Level(level), false) = (estimate, *found) {
                    (*error, *found) = (bound(level), true);
                }
            }
            match estimates {
                _ if found == [true; 2] => return Ok(()),
                [Estimate::TooClose, _] | [_, Estimate::TooClose] => spacing *= 100.0,
                _ => spacing /= 100.0,
            }
        }
        Ok(())
    }

    /// Remembers that the pair is one over an interval that is not the move's.
    fn record_lengthened(&mut self, interval: f64, before: &Tensor, after: Tensor) {
        self.counts.lengthened += 1;
        self.last_move = Some(LastMove {
            step: interval,
            before: before.clone(),
            after: Some(after),
            evaluated: true,
        });
    }

    /// Moves by `step` without a search. Evaluates the new point unless this is the `last`
    /// iteration.
    fn move_fixed(
        &mut self,
        oracle: &mut Oracle<'_>,
        from: &Point,
        largest: f64,
        step: f64,
        last: bool,
    ) -> Result<Iteration> {
        let (base, direction) = (&self.base, &self.direction);
        kernels::step_along(
            self.parameters.vars(),
            base,
            step,
            direction,
            &mut self.passes,
        )?;
        if last {
            self.record_move(step, &from.gradient, false)?;
            return Ok(Iteration::MovedUnevaluated);
        }
        let (loss, gradient) = oracle.trial()?;
        let gradient = kernels::flatten(gradient.tensors(), self.base.dtype(), &mut self.passes)?;
        let norms = kernels::norms(&gradient, &mut self.passes)?;
        let finite = loss.is_finite() && norms.is_finite();
        oracle.end_trials(finite.then_some(0))?;
        if !finite {
            kernels::unflatten(self.parameters.vars(), &self.base, &mut self.passes)?;
            self.restart();
            return Ok(Iteration::Stopped(StopReason::NonFinite));
        }
        self.record_move(step, &from.gradient, true)?;
        Ok(Iteration::Moved {
            to: Point {
                loss,
                gradient,
                largest: norms.largest,
            },
            largest_move: step * largest,
        })
    }

    /// Remembers a move until its pair is formed.
    fn record_move(&mut self, step: f64, before: &Tensor, evaluated: bool) -> Result<()> {
        self.last_move = Some(LastMove {
            step,
            before: before.clone(),
            after: None,
            evaluated,
        });
        if self.parameters.dtype() != self.base.dtype() {
            self.measure_last_move()?;
        }
        Ok(())
    }

    /// Sets the last move to the difference of the parameters and `base`: rounding or another
    /// method may have changed it.
    fn measure_last_move(&mut self) -> Result<()> {
        if let Some(last) = &mut self.last_move {
            let (base, direction) = (&self.base, &self.direction);
            kernels::displacement(self.parameters.vars(), base, direction, &mut self.passes)?;
            last.step = 1.0;
        }
        Ok(())
    }

    /// At the end of a step whose last point was evaluated: keeps what the last pair needs.
    fn finish_last_move(&mut self, gradient: Tensor) {
        if self.config.pairs == PairSource::SameBatch
            && let Some(last) = &mut self.last_move
        {
            last.after.get_or_insert(gradient);
        }
    }

    /// At the start of a step, on a new batch: keeps the last move's gradients, drops them or
    /// evaluates them again, as [`PairSource`] says.
    fn reevaluate_last_move(&mut self, oracle: &mut Oracle<'_>) -> Result<()> {
        let Some(last) = self.last_move.take() else {
            return Ok(());
        };
        self.last_move = match self.config.pairs {
            PairSource::SameBatch => last.after.is_some().then_some(last),
            PairSource::Carried => Some(last),
            // There is no pair where the budget leaves no evaluation for it.
            PairSource::FullOverlap if oracle.remaining() < 2 => None,
            PairSource::Overlap if oracle.remaining() < 3 => None,
            PairSource::FullOverlap => {
                let before = self.at_base(|| Ok(oracle.probe()?.1))?;
                Some(LastMove { before, ..last })
            }
            PairSource::Overlap => {
                let after = oracle.overlap_gradient()?;
                let after = kernels::flatten(after.tensors(), self.base.dtype(), &mut self.passes)?;
                let before = self.at_base(|| oracle.overlap_gradient())?;
                let after = Some(after);
                Some(LastMove {
                    before,
                    after,
                    ..last
                })
            }
        };
        Ok(())
    }

    /// The gradient that `evaluate` gives where the last move began.
    fn at_base(&mut self, evaluate: impl FnOnce() -> Result<Gradient>) -> Result<Tensor> {
        let here = self.parameters.snapshot()?;
        kernels::unflatten(self.parameters.vars(), &self.base, &mut self.passes)?;
        let gradient = evaluate();
        self.parameters.restore(&here)?;
        kernels::flatten(gradient?.tensors(), self.base.dtype(), &mut self.passes)
    }
}

impl Optimizer for Lbfgs {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let evaluations_before = oracle.counts().evaluations();
        let (loss, gradient) = oracle.loss_and_gradient()?;
        self.step_from(oracle, evaluations_before, loss, &gradient)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.lr = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        Phase::SecondOrder
    }

    fn state_elements(&self) -> u64 {
        let d = self.parameters.element_count() as u64;
        let gradients = self
            .last_move
            .as_ref()
            .map_or(0, |last| 1 + u64::from(last.after.is_some()));
        self.history.elements() + (2 + gradients) * d
    }

    fn vector_passes(&self) -> VectorPasses {
        self.passes
    }

    fn samples_wanted(&self) -> Option<u64> {
        self.samples_wanted
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        Diagnostics {
            counters: self.counts().into(),
            ..Diagnostics::default()
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("lr", self.lr);
        state.set("fresh", self.fresh)?;
        if let Some(first) = self.first_gradient {
            state.set_float("first_gradient", first);
        }
        for (key, error) in ERRORS.into_iter().zip(self.errors) {
            state.set_float(key, error);
        }
        state.set("samples_wanted", self.samples_wanted)?;
        state.set("counts", self.counts)?;
        state.set("passes", self.passes)?;
        self.history.save(&mut state)?;
        if !self.curvatures.is_empty() {
            let curvatures = Tensor::new(self.curvatures.as_slice(), &Device::Cpu)?;
            state.tensors.insert("curvatures".into(), curvatures);
        }
        if let Some(last) = &self.last_move {
            state.set_float("last_step", last.step);
            state.set("last_evaluated", last.evaluated)?;
            let vectors = [
                ("base", self.base.as_detached_tensor()),
                ("direction", self.direction.as_detached_tensor()),
                ("before", last.before.clone()),
            ];
            let after = last.after.clone().map(|after| ("after", after));
            for (name, vector) in vectors.into_iter().chain(after) {
                state.tensors.insert(name.into(), vector.copy()?);
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let d = self.parameters.element_count();
        let (device, dtype) = (self.parameters.device().clone(), self.base.dtype());
        let vector = |name: &str| history::var(history::tensor(state, name, &[d])?, dtype, &device);
        let (lr, fresh) = (state.float("lr")?, state.get("fresh")?);
        let first_gradient = state.optional_float("first_gradient")?;
        let (counts, passes) = (state.get("counts")?, state.get("passes")?);
        let last = if state.tensors.contains_key("before") {
            let after = state.tensors.contains_key("after");
            let last = LastMove {
                step: state.float("last_step")?,
                before: vector("before")?.as_detached_tensor(),
                after: match after {
                    true => Some(vector("after")?.as_detached_tensor()),
                    false => None,
                },
                evaluated: state.get("last_evaluated")?,
            };
            Some((last, vector("base")?, vector("direction")?))
        } else {
            None
        };
        let curvatures = match state.tensors.get("curvatures") {
            Some(curvatures) => curvatures.to_dtype(DType::F64)?.to_vec1()?,
            None => Vec::new(),
        };
        let errors = [state.float(ERRORS[0])?, state.float(ERRORS[1])?];
        let samples_wanted = state.get("samples_wanted")?;
        self.history.load(state, d, &device)?;
        (self.curvatures, self.errors) = (curvatures, errors);
        self.samples_wanted = samples_wanted;
        self.last_move = None;
        if let Some((last, base, direction)) = last {
            (self.base, self.direction) = (base, direction);
            self.last_move = Some(last);
        }
        (self.lr, self.fresh, self.counts, self.passes) = (lr, fresh, counts, passes);
        self.first_gradient = first_gradient;
        Ok(())
    }
}
