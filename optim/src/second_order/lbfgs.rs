//! L-BFGS: the inner iterations of one step, their stopping rules and their bookkeeping.

use candle_core::{DType, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::history::{self, History};
use super::{CurvatureGuard, HistoryPrecision, InitialScaling, PairCounts};
use crate::kernels::history::{self as kernels, Move};
use crate::kernels::{state_dtype, zeros};
use crate::line_search::{Conditions, LineSearch, Outcome, Trial, armijo, strong_wolfe};
use crate::state::State;
use crate::{
    Gradient, Optimizer, Oracle, Parameters, Phase, Result, Step, StopReason, VectorPasses, check,
};

/// Settings of [`Lbfgs`]. Those that `torch.optim.LBFGS` has too carry its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LbfgsConfig {
    /// The first step length tried along a direction. The very first direction, which has no
    /// curvature to scale it, starts from `lr`·min(1, 1/‖d‖₁).
    pub lr: f64,
    /// Inner iterations in one step, at most.
    pub max_iter: u64,
    /// Evaluations in one step, at most; if not given 5/4 of `max_iter`, as in PyTorch, but with the
    /// strict limit not below 10, so that a step of few iterations can search too.
    pub max_eval: Option<u64>,
    /// A step ends when the gradient's largest component is at most this.
    pub tolerance_grad: f64,
    /// A step ends when the loss or every parameter changes by less than this.
    pub tolerance_change: f64,
    /// How many curvature pairs are remembered.
    pub history_size: usize,
    /// How the step length is chosen.
    pub line_search: LineSearch,
    /// The constant c1 of the Armijo condition.
    pub c1: f64,
    /// The constant c2 of the curvature condition.
    pub c2: f64,
    /// How `max_eval` binds the line search.
    pub evaluation_limit: EvaluationLimit,
    /// Where the two gradients of a pair come from.
    pub pairs: PairSource,
    /// Which pairs are let into the memory.
    pub guard: CurvatureGuard,
    /// The scale of the initial inverse Hessian.
    pub scaling: InitialScaling,
    /// The number format of stored pairs.
    pub history_precision: HistoryPrecision,
    /// Whether a line search that finds no better point clears the memory, so that the next
    /// direction is steepest descent.
    pub restart: bool,
}

/// How `max_eval` binds a line search that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EvaluationLimit {
    /// Never more than `max_eval` evaluations in a step.
    #[default]
    Strict,
    /// As PyTorch from 2.6 on: the search may make one evaluation more than are left.
    #[serde(rename = "torch-2.6")]
    Torch26,
    /// As PyTorch before 2.6: the search may make 26 evaluations, whatever is left.
    #[serde(rename = "torch-2.5")]
    Torch25,
}

/// Where the two gradients of a pair's y come from. On full batches all agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PairSource {
    /// Both from the batch on which the move was made (Byrd et al. 2016). A last move whose end was
    /// not evaluated, as with a fixed step length, forms no pair.
    #[default]
    SameBatch,
    /// The gradient where the next iteration begins, even on another batch: what
    /// `torch.optim.LBFGS` does. The difference of two batches is then taken for curvature.
    Carried,
    /// Both from the new batch, evaluated at the old point once more: one evaluation per step.
    FullOverlap,
    /// Both from the samples that the new batch shares with the previous one (Berahas, Nocedal &
    /// Takáč 2016), which the objective must know ([`Objective::overlap_gradient`]).
    ///
    /// [`Objective::overlap_gradient`]: crate::Objective::overlap_gradient
    Overlap,
}

impl Default for LbfgsConfig {
    fn default() -> Self {
        Self {
            lr: 1.0,
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            history_size: 10,
            line_search: LineSearch::default(),
            c1: 1e-4,
            c2: 0.9,
            evaluation_limit: EvaluationLimit::default(),
            pairs: PairSource::default(),
            guard: CurvatureGuard::default(),
            scaling: InitialScaling::default(),
            history_precision: HistoryPrecision::default(),
            restart: true,
        }
    }
}

impl LbfgsConfig {
    /// The defaults and the behaviour of `torch.optim.LBFGS` since PyTorch 2.6: no line search,
    /// 100 pairs carried across batches, pairs kept if sᵀy > 1e-10.
    pub fn torch() -> Self {
        Self {
            history_size: 100,
            line_search: LineSearch::Fixed,
            evaluation_limit: EvaluationLimit::Torch26,
            pairs: PairSource::Carried,
            guard: CurvatureGuard::Absolute(1e-10),
            restart: false,
            ..Self::default()
        }
    }

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
            last_move: None,
            counts: LbfgsCounts::default(),
            passes: VectorPasses::default(),
            config: self,
        })
    }

    /// The limit of evaluations in one step: what is given, or what its absence means.
    pub fn max_eval(&self) -> u64 {
        let least = match self.evaluation_limit {
            EvaluationLimit::Strict => 10,
            EvaluationLimit::Torch26 | EvaluationLimit::Torch25 => 1,
        };
        self.max_eval
            .unwrap_or_else(|| least.max(self.max_iter * 5 / 4))
    }

    /// Refuses settings that are out of range for parameters of `dtype`.
    pub(crate) fn validate(&self, dtype: DType) -> Result<()> {
        check::positive("lr", self.lr)?;
        check::that(self.max_iter > 0, "max_iter", self.max_iter, "at least 1")?;
        let searching = self.line_search != LineSearch::Fixed;
        let least = match self.evaluation_limit {
            EvaluationLimit::Strict if searching => 2,
            _ => 1,
        };
        check::that(
            self.max_eval() >= least,
            "max_eval",
            self.max_eval(),
            "at least 1, and 2 for a line search under the strict limit",
        )?;
        check::non_negative("tolerance_grad", self.tolerance_grad)?;
        check::non_negative("tolerance_change", self.tolerance_change)?;
        let size = self.history_size;
        check::that(size > 0, "history_size", size, "at least 1")?;
        check::that(0.0 < self.c1 && self.c1 < 1.0, "c1", self.c1, "0 < c1 < 1")?;
        let ordered = self.c1 < self.c2 && self.c2 < 1.0;
        check::that(ordered, "c2", self.c2, "c1 < c2 < 1")?;
        match self.guard {
            CurvatureGuard::Absolute(epsilon) | CurvatureGuard::Cautious(epsilon) => {
                check::non_negative("guard", epsilon)?;
            }
            CurvatureGuard::Powell(mu) => {
                check::that(0.0 < mu && mu < 1.0, "guard", mu, "0 < μ < 1")?;
            }
        }
        if let InitialScaling::Constant(gamma) = self.scaling {
            check::positive("scaling", gamma)?;
        }
        let half = self.history_precision == HistoryPrecision::Bf16;
        check::that(
            !(half && dtype == DType::F64),
            "history_precision",
            "bf16",
            "full beside f64 parameters",
        )
    }
}

/// How pairs and line searches fared so far.
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
    /// Times the memory was cleared because a search failed, a direction was not one of descent or
    /// a value was not finite.
    pub restarts: u64,
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
/// The direction costs two passes over the history (see [`vector_passes`](Optimizer::vector_passes)):
/// an iteration with n pairs held, one of them new, reads 4n + 2 vectors and writes 3 for pair and
/// direction, or 4m + 4 once the memory is full, the pair that is dropped included; the line search
/// adds 4 reads and 1 write a trial (move and slope), the start of each move 1 and 1. Held are
/// 2m + 2 vectors of history, the direction, the start of the last move and the gradient there, and,
/// with same-batch pairs between steps, the gradient at its end.
///
/// In half precision the parameters are rounded at each move, and s is the move that rounding left.
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
/// assert_eq!(step.stop, StopReason::ChangeTolerance);
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
    /// Where the last move began, and its direction.
    base: Var,
    direction: Var,
    /// The last move, until its pair is formed.
    last_move: Option<LastMove>,
    counts: LbfgsCounts,
    passes: VectorPasses,
}

/// A move from `base` by `step`·`direction`.
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
    MovedBlindly,
    /// Did not move.
    Stopped(StopReason),
}

impl Lbfgs {
    pub(crate) const KIND: &str = "lbfgs";

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &LbfgsConfig {
        &self.config
    }

    /// How pairs and line searches fared so far.
    pub fn counts(&self) -> LbfgsCounts {
        LbfgsCounts {
            pairs: self.history.counts,
            ..self.counts
        }
    }

    /// How many curvature pairs are held now.
    pub fn pairs_held(&self) -> usize {
        self.history.len()
    }

    /// Forgets all curvature, so that the next direction is steepest descent.
    pub fn clear(&mut self) {
        self.history.clear();
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

    /// Marks where a move of another method begins, for [`finish_pair`](Self::finish_pair).
    pub(crate) fn begin_pair(&mut self) -> Result<()> {
        kernels::gather_parameters(&self.parameters, &self.base, &mut self.passes)
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

    /// Comes back after another method has moved the parameters on. Pairs that a later gradient is
    /// to complete are measured to where the parameters are; carried ones are not, as in PyTorch.
    pub(crate) fn resume(&mut self) -> Result<()> {
        match self.config.pairs {
            PairSource::SameBatch | PairSource::Carried => Ok(()),
            PairSource::FullOverlap | PairSource::Overlap => self.measure_last_move(),
        }
    }

    /// After a step whose end was blended with another method's.
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

    /// One step from a point that is evaluated already; `begun` is the number of evaluations before
    /// that one.
    pub(crate) fn step_from(
        &mut self,
        oracle: &mut Oracle<'_>,
        begun: u64,
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
            // Only a move whose end was not evaluated can have led here; otherwise the batch is bad.
            if self.last_move.as_ref().is_some_and(|last| !last.evaluated) {
                kernels::scatter(&self.parameters, &self.base, &mut self.passes)?;
            }
            self.restart();
            step.final_loss = None;
            step.stop = StopReason::NonFinite;
            return Ok(step);
        }
        if norms.largest <= self.config.tolerance_grad {
            return Ok(step);
        }
        self.reevaluate_last_move(oracle)?;
        let mut point = Point {
            loss,
            gradient,
            largest: norms.largest,
        };
        loop {
            kernels::gather_parameters(&self.parameters, &self.base, &mut self.passes)?;
            step.iterations += 1;
            let spent = oracle.counts().evaluations() - begun;
            let last = step.iterations == self.config.max_iter || oracle.remaining() == 0;
            let iteration = match self.iterate(oracle, &point, spent, last) {
                Ok(iteration) => iteration,
                Err(error) => {
                    // The best point so far is where this iteration began.
                    kernels::scatter(&self.parameters, &self.base, &mut self.passes)?;
                    self.last_move = None;
                    return Err(error);
                }
            };
            let (to, largest_move) = match iteration {
                Iteration::Moved { to, largest_move } => (to, largest_move),
                Iteration::MovedBlindly => {
                    step.final_loss = None;
                    step.stop = self.limit_reached(&step, oracle, begun);
                    return Ok(step);
                }
                Iteration::Stopped(reason) => {
                    step.stop = reason;
                    return Ok(step);
                }
            };
            let change = (to.loss - point.loss).abs();
            point = to;
            step.final_loss = Some(point.loss);
            let spent = oracle.counts().evaluations() - begun;
            let converged = if point.largest <= self.config.tolerance_grad {
                Some(StopReason::GradientTolerance)
            } else if largest_move <= self.config.tolerance_change
                || change < self.config.tolerance_change
            {
                Some(StopReason::ChangeTolerance)
            } else {
                None
            };
            let at_limit = step.iterations == self.config.max_iter
                || spent >= self.config.max_eval()
                || oracle.remaining() == 0;
            if converged.is_some() || at_limit {
                step.stop = converged.unwrap_or_else(|| self.limit_reached(&step, oracle, begun));
                self.finish_last_move(point.gradient);
                return Ok(step);
            }
        }
    }

    /// Which limit ends a step.
    fn limit_reached(&self, step: &Step, oracle: &Oracle<'_>, begun: u64) -> StopReason {
        if step.iterations == self.config.max_iter {
            StopReason::MaxIterations
        } else if oracle.counts().evaluations() - begun >= self.config.max_eval() {
            StopReason::MaxEvaluations
        } else {
            StopReason::BudgetSpent
        }
    }

    /// One inner iteration from `base`: pair, direction, line search.
    fn iterate(
        &mut self,
        oracle: &mut Oracle<'_>,
        from: &Point,
        spent: u64,
        last: bool,
    ) -> Result<Iteration> {
        let searching = self.config.line_search != LineSearch::Fixed;
        if searching && oracle.remaining() == 0 {
            return Ok(Iteration::Stopped(StopReason::BudgetSpent));
        }
        let (slope, largest) = self.find_direction(&from.gradient)?;
        if slope.is_nan() || slope >= 0.0 {
            self.restart();
            return Ok(Iteration::Stopped(StopReason::NotDescent));
        }
        let first = self.first_step(&from.gradient)?;
        self.fresh = false;
        if slope > -self.config.tolerance_change {
            return Ok(Iteration::Stopped(StopReason::ChangeTolerance));
        }
        if searching {
            self.search(oracle, from, (slope, largest), first, spent)
        } else {
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
            EvaluationLimit::Torch26 => left + 1,
            EvaluationLimit::Torch25 => 26,
        };
        let trials = allowed.min(oracle.remaining());
        if trials == 0 {
            return Ok(Iteration::Stopped(StopReason::MaxEvaluations));
        }
        let (parameters, passes) = (&self.parameters, &mut self.passes);
        let (base, direction) = (&self.base, &self.direction);
        let mut at = 0.0;
        let mut finite = true;
        let mut phi = |t: f64| {
            kernels::advance(parameters, base, t, direction, passes)?;
            at = t;
            let (loss, gradient) = oracle.loss_and_gradient()?;
            let gradient = kernels::flatten(gradient.tensors(), base.dtype(), passes)?;
            let (slope, largest) = kernels::slope(&gradient, direction, passes)?;
            let trial = Trial::new(t, loss, slope, (gradient, largest));
            finite = trial.is_finite();
            Ok(trial)
        };
        let start = Trial::new(0.0, from.loss, slope, (from.gradient.clone(), from.largest));
        let conditions = Conditions {
            c1: self.config.c1,
            c2: self.config.c2,
        };
        let Outcome { best, satisfied } = match self.config.line_search {
            LineSearch::Armijo => armijo(&mut phi, start, first, conditions, trials)?,
            LineSearch::StrongWolfe | LineSearch::Fixed => {
                let width = (largest, self.config.tolerance_change);
                strong_wolfe(&mut phi, start, first, conditions, width, trials)?
            }
        };
        self.counts.searches += 1;
        self.counts.satisfied_searches += u64::from(satisfied);
        if best.t == 0.0 {
            kernels::scatter(&self.parameters, &self.base, &mut self.passes)?;
            self.counts.failed_searches += 1;
            if self.config.restart {
                self.restart();
            }
            return Ok(Iteration::Stopped(if finite {
                StopReason::LineSearchFailed
            } else {
                StopReason::NonFinite
            }));
        }
        if at != best.t {
            let (base, direction) = (&self.base, &self.direction);
            kernels::advance(&self.parameters, base, best.t, direction, &mut self.passes)?;
        }
        self.record_move(best.t, &from.gradient, true)?;
        let (gradient, largest_gradient) = best.gradient;
        Ok(Iteration::Moved {
            to: Point {
                loss: best.loss,
                gradient,
                largest: largest_gradient,
            },
            largest_move: best.t * largest,
        })
    }

    /// Moves by `step` without a search; evaluates there unless this is the `last` iteration.
    fn move_fixed(
        &mut self,
        oracle: &mut Oracle<'_>,
        from: &Point,
        largest: f64,
        step: f64,
        last: bool,
    ) -> Result<Iteration> {
        let (base, direction) = (&self.base, &self.direction);
        kernels::advance(&self.parameters, base, step, direction, &mut self.passes)?;
        if last {
            self.record_move(step, &from.gradient, false)?;
            return Ok(Iteration::MovedBlindly);
        }
        let (loss, gradient) = oracle.loss_and_gradient()?;
        let gradient = kernels::flatten(gradient.tensors(), self.base.dtype(), &mut self.passes)?;
        let norms = kernels::norms(&gradient, &mut self.passes)?;
        if !(loss.is_finite() && norms.is_finite()) {
            kernels::scatter(&self.parameters, &self.base, &mut self.passes)?;
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

    /// Takes the way from `base` to where the parameters are now for the last move: rounding or a
    /// blend with another method may have changed it.
    fn measure_last_move(&mut self) -> Result<()> {
        if let Some(last) = &mut self.last_move {
            let (base, direction) = (&self.base, &self.direction);
            kernels::displacement(&self.parameters, base, direction, &mut self.passes)?;
            last.step = 1.0;
        }
        Ok(())
    }

    /// At the end of a step whose last point was evaluated: keeps what the last pair needs.
    fn finish_last_move(&mut self, gradient: Tensor) {
        if self.config.pairs == PairSource::SameBatch
            && let Some(last) = &mut self.last_move
        {
            last.after = Some(gradient);
        }
    }

    /// At the start of a step, on a new batch: drops the last move's gradients or takes them anew,
    /// as [`PairSource`] tells.
    fn reevaluate_last_move(&mut self, oracle: &mut Oracle<'_>) -> Result<()> {
        let Some(last) = self.last_move.take() else {
            return Ok(());
        };
        self.last_move = match self.config.pairs {
            PairSource::SameBatch => last.after.is_some().then_some(last),
            PairSource::Carried => Some(last),
            // Without an evaluation to spare for the pair, there is no pair.
            PairSource::FullOverlap if oracle.remaining() < 2 => None,
            PairSource::Overlap if oracle.remaining() < 3 => None,
            PairSource::FullOverlap => {
                let before = self.at_base(|| Ok(oracle.loss_and_gradient()?.1))?;
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
        kernels::scatter(&self.parameters, &self.base, &mut self.passes)?;
        let gradient = evaluate();
        self.parameters.restore(&here)?;
        kernels::flatten(gradient?.tensors(), self.base.dtype(), &mut self.passes)
    }
}

impl Optimizer for Lbfgs {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let begun = oracle.counts().evaluations();
        let (loss, gradient) = oracle.loss_and_gradient()?;
        self.step_from(oracle, begun, loss, &gradient)
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

    fn second_order_counts(&self) -> Option<LbfgsCounts> {
        Some(self.counts())
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("lr", self.lr);
        state.set("fresh", self.fresh)?;
        state.set("counts", self.counts)?;
        state.set("passes", self.passes)?;
        self.history.save(&mut state)?;
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
        self.history.load(state, d, &device)?;
        self.last_move = None;
        if let Some((last, base, direction)) = last {
            (self.base, self.direction) = (base, direction);
            self.last_move = Some(last);
        }
        (self.lr, self.fresh, self.counts, self.passes) = (lr, fresh, counts, passes);
        Ok(())
    }
}
