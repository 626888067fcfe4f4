//! FUSE-PV: Adam until a criterion holds, then L-BFGS.

use candle_core::Var;
use serde::{Deserialize, Serialize};

use super::criterion::Criterion;
use super::statistics::Statistics;
use crate::check;
use crate::error::{Error, Result};
use crate::first_order::{Adam, AdamConfig, EpsilonPlacement};
use crate::kernels::lbfgs as kernels;
use crate::kernels::memory::zeros;
use crate::kernels::number::state_dtype;
use crate::line_search::LineSearch;
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::Parameters;
use crate::record::{CriterionRecord, Diagnostics, Phase, Step, StopReason, Switch, VectorPasses};
use crate::second_order::{CurvatureGuard, Lbfgs, LbfgsConfig, MomentumLbfgs, MomentumLbfgsConfig};
use crate::state::State;

/// Settings of [`FusePv`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FusePvConfig {
    /// When L-BFGS takes over.
    pub criterion: Criterion,
    /// How long to wait before the criterion is judged.
    pub warm_up: WarmUp,
    /// Whether Adam may come back.
    pub policy: Policy,
    /// The curvature that L-BFGS starts with.
    pub handover: Handover,
    /// Samples that each batch should have at least from the switch on
    /// ([`samples_wanted`](Optimizer::samples_wanted)), since curvature bears less noise than Adam does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch_batch: Option<u64>,
    /// Settings of the first method.
    pub adam: AdamConfig,
    /// Settings of the second method.
    pub lbfgs: LbfgsConfig,
    /// If given, L-BFGS with pairs from running means is the second method, with these settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum_lbfgs: Option<MomentumLbfgsConfig>,
}

/// How long to wait before the criterion is judged: until both have passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmUp {
    /// Whole epochs.
    pub epochs: u64,
    /// Steps.
    pub steps: u64,
}

/// Whether Adam may come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Policy {
    /// There is one switch; Adam's moments are released at it.
    #[default]
    OneWay,
    /// Before each step the criterion chooses: L-BFGS where it holds, Adam where it does not.
    Reversible {
        /// Whether L-BFGS keeps its pairs while Adam works.
        #[serde(default)]
        keep_memory: bool,
    },
}

/// The curvature that L-BFGS starts with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handover {
    /// None. The first step is scaled steepest descent.
    #[default]
    Cold,
    /// Pairs from the moves of Adam: once the criterion holds, Adam makes `history_size` more
    /// steps, and each leaves a pair. Both gradients of a pair are of one batch, which costs one
    /// evaluation more in each of these steps.
    WarmPairs,
    /// H₀ = γ·D with D = 1/(√v̂ + ε), Adam's preconditioner at the switch. γ is 1 until there is a
    /// pair, then sᵀy / yᵀDy of the newest one.
    AdamDiagonal,
}

impl Default for FusePvConfig {
    /// The paper's criterion, epoch 5, with this crate's defaults for both methods.
    fn default() -> Self {
        Self {
            criterion: Criterion::Epoch(5),
            warm_up: WarmUp::default(),
            policy: Policy::default(),
            handover: Handover::default(),
            switch_batch: None,
            adam: AdamConfig::default(),
            lbfgs: LbfgsConfig::default(),
            momentum_lbfgs: None,
        }
    }
}

impl FusePvConfig {
    /// The settings that the paper gives: a switch at epoch 5, and ε added to the uncorrected √v.
    /// Settings that it does not give are those of its authors' code.
    pub fn paper() -> Self {
        Self {
            criterion: Criterion::Epoch(5),
            adam: AdamConfig {
                epsilon_placement: EpsilonPlacement::Uncorrected,
                ..AdamConfig::default()
            },
            lbfgs: Self::as_shipped().lbfgs,
            ..Self::default()
        }
    }

    /// What the authors' code does, whatever criterion it is given: three epochs of Adam, then on
    /// each batch L-BFGS if the previous batch's loss was below 2, else Adam. L-BFGS keeps its
    /// pairs, and takes them across batches.
    pub fn as_shipped() -> Self {
        Self {
            criterion: Criterion::LossLevel { threshold: 2.0 },
            warm_up: WarmUp {
                epochs: 3,
                steps: 0,
            },
            policy: Policy::Reversible { keep_memory: true },
            lbfgs: LbfgsConfig {
                history_size: 10,
                max_iter: 20,
                max_eval: Some(4),
                line_search: LineSearch::StrongWolfe,
                ..LbfgsConfig::torch()
            },
            ..Self::default()
        }
    }

    /// The settings for a run with a budget of `evaluations`: shares of it become numbers of
    /// evaluations in the criterion, and of steps in Adam's schedule.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.criterion = self.criterion.with_budget(evaluations);
        self.adam = self.adam.with_budget(evaluations);
        self.momentum_lbfgs = self
            .momentum_lbfgs
            .map(|second| second.with_budget(evaluations));
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or two do not go together.
    pub fn build(self, parameters: &Parameters) -> Result<FusePv> {
        self.criterion.validate(&self.adam)?;
        self.lbfgs.validate(parameters.dtype())?;
        let batch = self.switch_batch.unwrap_or(1);
        check::that(batch > 0, "switch_batch", batch, "at least 1")?;
        let damped = matches!(
            self.lbfgs.guard,
            CurvatureGuard::Powell(_) | CurvatureGuard::Adaptive { .. }
        );
        check::that(
            !(damped && self.handover == Handover::AdamDiagonal),
            "handover",
            "adam-diagonal",
            "cold or warm-pairs beside damping, which assumes H₀ = γ·I",
        )?;
        if let Some(second) = &self.momentum_lbfgs {
            second.validate()?;
            check::that(
                self.handover == Handover::Cold,
                "handover",
                format_args!("{:?}", self.handover),
                "Cold beside `momentum_lbfgs`, whose pairs come from its own means",
            )?;
        }
        Ok(FusePv {
            parameters: parameters.clone(),
            learning_rate: self.adam.learning_rate,
            adam: Some(self.adam.clone().build(parameters)?),
            second: None,
            phase: Phase::FirstOrder,
            collecting: None,
            statistics: Statistics::new(
                self.criterion.losses_needed(),
                &self.criterion.progress_windows(),
            ),
            projection: Projection::new(&self.criterion, parameters)?,
            released_passes: VectorPasses::default(),
            records: Vec::new(),
            switches: Vec::new(),
            config: self,
        })
    }
}

/// The practical version of FUSE: Adam first, L-BFGS once a [`Criterion`] holds.
///
/// ```text
/// x ← x^A, Adam's update,   while the criterion does not hold   (θ = 1)
/// x ← x^L, L-BFGS's update, once it holds                       (θ = 0)
/// ```
///
/// Until the switch a step is Adam's step and costs what Adam's costs: L-BFGS's memory is allocated
/// at the switch, or when warm pairs begin to be collected. Only [`Criterion::NoiseScale`] reads a
/// vector more, and [`Criterion::ProjectedRate`] holds two vectors, reads six and writes two, one
/// more of each where there are several parameter tensors.
///
/// The learning rate is Adam's, in both phases, and follows Adam's schedule while Adam acts: L-BFGS
/// keeps `lbfgs.lr`, the first step length its line search tries, and `momentum_lbfgs` its own rate.
///
/// Source: arXiv 2503.04204, algorithm FUSE-PV.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{AdamConfig, Criterion, FusePvConfig, Loss, Meter, Optimizer, Oracle, Parameters, Phase};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[3f64, -2.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut fuse = FusePvConfig {
///     criterion: Criterion::GradNorm { threshold: 5.0, relative: false },
///     adam: AdamConfig { learning_rate: 0.1, ..AdamConfig::default() },
///     ..FusePvConfig::default()
/// }
/// .build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || x.sqr()?.sum_all());
/// let mut meter = Meter::new();
/// while fuse.phase() == Phase::FirstOrder {
///     fuse.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// let step = fuse.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// assert!(step.final_loss < Some(1e-12));
/// let diagnostics = fuse.diagnostics();
/// assert_eq!(diagnostics.switches[0].step, diagnostics.criteria.len() as u64);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FusePv {
    config: FusePvConfig,
    parameters: Parameters,
    learning_rate: f64,
    /// Held until a one-way switch.
    adam: Option<Adam>,
    /// Held from the first switch, or the first warm pair, on.
    second: Option<Second>,
    phase: Phase,
    /// Steps of Adam that are still to be made for warm pairs, while these are collected.
    collecting: Option<usize>,
    statistics: Statistics,
    /// Held while Adam is, for a criterion that needs it.
    projection: Option<Projection>,
    /// Passes of methods that are no longer held, and of measurements.
    released_passes: VectorPasses,
    records: Vec<CriterionRecord>,
    switches: Vec<Switch>,
}

/// What measures Adam's moves.
#[derive(Debug)]
struct Projection {
    start: Var,
    moved: Var,
}

impl Projection {
    fn new(criterion: &Criterion, parameters: &Parameters) -> Result<Option<Self>> {
        if !criterion.uses_projected_rate() {
            return Ok(None);
        }
        let dtype = state_dtype(parameters.dtype());
        let vector = || zeros(parameters.element_count(), dtype, parameters.device());
        Ok(Some(Self {
            start: vector()?,
            moved: vector()?,
        }))
    }

    /// Makes a step of `adam`; returns pᵀp and pᵀg of its move p.
    fn step(
        &self,
        adam: &mut Adam,
        oracle: &mut Oracle<'_>,
        passes: &mut VectorPasses,
    ) -> Result<(Step, f64, f64)> {
        let parameters = adam.parameters().clone();
        kernels::flatten_into(parameters.vars(), &self.start, passes)?;
        let (step, gradient) = adam.step_with_gradient(oracle)?;
        kernels::displacement(parameters.vars(), &self.start, &self.moved, passes)?;
        let gradient = kernels::flatten(gradient.tensors(), self.start.dtype(), passes)?;
        let (slope, _) = kernels::slope(&gradient, &self.moved, passes)?;
        let length = kernels::norms(&self.moved, passes)?.euclidean;
        Ok((step, length * length, slope))
    }
}

/// The second method.
#[derive(Debug)]
enum Second {
    Lbfgs(Box<Lbfgs>),
    Momentum(Box<MomentumLbfgs>),
}

impl Second {
    fn build(config: &FusePvConfig, parameters: &Parameters) -> Result<Self> {
        Ok(match &config.momentum_lbfgs {
            Some(momentum) => Self::Momentum(Box::new(momentum.clone().build(parameters)?)),
            None => Self::Lbfgs(Box::new(config.lbfgs.clone().build(parameters)?)),
        })
    }

    fn get(&self) -> &dyn Optimizer {
        match self {
            Self::Lbfgs(lbfgs) => &**lbfgs,
            Self::Momentum(momentum) => &**momentum,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Optimizer {
        match self {
            Self::Lbfgs(lbfgs) => &mut **lbfgs,
            Self::Momentum(momentum) => &mut **momentum,
        }
    }

    fn pairs_held(&self) -> usize {
        match self {
            Self::Lbfgs(lbfgs) => lbfgs.pairs_held(),
            Self::Momentum(momentum) => momentum.pairs_held(),
        }
    }

    /// The name of its state.
    fn key(&self) -> &'static str {
        match self {
            Self::Lbfgs(_) => "lbfgs",
            Self::Momentum(_) => "momentum_lbfgs",
        }
    }
}

impl FusePv {
    const KIND: &str = "fuse-pv";

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &FusePvConfig {
        &self.config
    }

    /// L-BFGS, if it is the second method and once it is there.
    pub fn lbfgs(&self) -> Option<&Lbfgs> {
        match &self.second {
            Some(Second::Lbfgs(lbfgs)) => Some(lbfgs),
            Some(Second::Momentum(_)) | None => None,
        }
    }

    /// The method of the next step: whether the criterion must hold, and does.
    fn next(&self, record: &mut impl FnMut(&Criterion, f64, f64, bool)) -> Next {
        let warm_up = self.config.warm_up;
        let asked = match (self.phase, self.config.policy) {
            (Phase::SecondOrder, Policy::OneWay) => return Next::Stay,
            _ if self.collecting == Some(0) => return Next::Enter,
            _ if self.collecting.is_some() => return Next::Stay,
            _ => self.statistics.epoch >= warm_up.epochs && self.statistics.steps >= warm_up.steps,
        };
        let holds = asked && self.config.criterion.holds(&self.statistics, record);
        match (self.phase, holds) {
            (Phase::FirstOrder, true) if self.config.handover == Handover::WarmPairs => {
                Next::Collect
            }
            (Phase::FirstOrder, true) => Next::Enter,
            (Phase::SecondOrder, false) => Next::Leave,
            _ => Next::Stay,
        }
    }

    /// Asks the criterion and acts on its answer.
    fn decide(&mut self) -> Result<()> {
        let (step, epoch) = (self.statistics.steps, self.statistics.epoch);
        let mut records = Vec::new();
        let next = self.next(&mut |criterion, value, threshold, fired| {
            records.push(CriterionRecord {
                step,
                epoch,
                criterion: criterion.to_string(),
                value,
                threshold,
                fired,
            });
        });
        self.records.append(&mut records);
        match next {
            Next::Stay => return Ok(()),
            Next::Collect => {
                self.prepare_second()?;
                self.collecting = Some(self.config.lbfgs.history_size);
                return Ok(());
            }
            Next::Enter => self.enter()?,
            Next::Leave => self.phase = Phase::FirstOrder,
        }
        self.switches.push(Switch {
            step,
            epoch,
            to: self.phase,
            pairs: match self.phase {
                Phase::SecondOrder => self.second.as_ref().map_or(0, Second::pairs_held),
                Phase::FirstOrder => 0,
            },
        });
        Ok(())
    }

    /// Builds the second method, or makes it ready to come back.
    fn prepare_second(&mut self) -> Result<()> {
        let keep = self.config.policy == Policy::Reversible { keep_memory: true };
        match &mut self.second {
            Some(Second::Lbfgs(lbfgs)) if keep => return lbfgs.resume(),
            Some(Second::Lbfgs(lbfgs)) => {
                lbfgs.clear();
                return Ok(());
            }
            Some(Second::Momentum(_)) if keep => return Ok(()),
            Some(Second::Momentum(momentum)) => self.released_passes += momentum.vector_passes(),
            None => (),
        }
        self.second = Some(Second::build(&self.config, &self.parameters)?);
        Ok(())
    }

    fn enter(&mut self) -> Result<()> {
        if self.collecting.take().is_none() {
            self.prepare_second()?;
        }
        if let (Handover::AdamDiagonal, Some(adam), Some(Second::Lbfgs(lbfgs))) =
            (self.config.handover, &self.adam, &mut self.second)
            && let Some(diagonal) = adam.preconditioner()?
        {
            lbfgs.precondition(&diagonal)?;
        }
        if self.config.policy == Policy::OneWay
            && let Some(adam) = self.adam.take()
        {
            self.released_passes += adam.vector_passes();
            self.projection = None;
        }
        self.phase = Phase::SecondOrder;
        Ok(())
    }

    /// A step of Adam that leaves a curvature pair.
    fn step_with_pair(adam: &mut Adam, lbfgs: &mut Lbfgs, oracle: &mut Oracle<'_>) -> Result<Step> {
        lbfgs.begin_pair()?;
        let (mut step, before) = adam.step_with_gradient(oracle)?;
        if step.stop == StopReason::NonFinite || oracle.remaining() == 0 {
            return Ok(step);
        }
        // Adam's next step evaluates this point on a batch of its own.
        let (loss, after) = oracle.probe()?;
        step.final_loss = Some(loss);
        if loss.is_finite() {
            lbfgs.finish_pair(&before, &after)?;
        }
        Ok(step)
    }
}

/// What becomes of the method before a step.
enum Next {
    Stay,
    Collect,
    Enter,
    Leave,
}

impl Optimizer for FusePv {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        self.decide()?;
        let before = oracle.counts().evaluations();
        let step = match (self.phase, &mut self.adam, &mut self.second) {
            (Phase::FirstOrder, Some(adam), Some(Second::Lbfgs(lbfgs)))
                if self.collecting.is_some() =>
            {
                let step = Self::step_with_pair(adam, lbfgs, oracle)?;
                self.collecting = self.collecting.map(|steps| steps.saturating_sub(1));
                step
            }
            (Phase::FirstOrder, Some(adam), _) => match &self.projection {
                Some(projection) => {
                    let passes = &mut self.released_passes;
                    let (step, square, slope) = projection.step(adam, oracle, passes)?;
                    let beta2 = self.config.adam.beta2;
                    self.statistics.observe_move(square, slope, beta2);
                    step
                }
                None => adam.step(oracle)?,
            },
            (_, _, Some(second)) => second.get_mut().step(oracle)?,
            // Adam is released, and the phase left, only where the second one has been built.
            _ => unreachable!("one of the two methods is always there"),
        };
        if let (Phase::FirstOrder, Some(adam)) = (self.phase, &mut self.adam)
            && self.config.criterion.uses_noise_scale()
        {
            let moment = adam.first_moment_norm()?;
            let beta1 = self.config.adam.beta1;
            self.statistics
                .noise
                .observe(step.gradient_norm, moment, beta1);
        }
        self.statistics
            .observe(&step, oracle.counts().evaluations() - before);
        Ok(step)
    }

    fn start_epoch(&mut self, epoch: u64) {
        self.statistics.epoch = epoch;
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn learning_rate(&self) -> f64 {
        self.adam
            .as_ref()
            .map_or(self.learning_rate, Adam::learning_rate)
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        match &mut self.adam {
            Some(adam) => adam.set_learning_rate(learning_rate),
            None => Ok(()),
        }
    }

    fn phase(&self) -> Phase {
        match self.next(&mut |_, _, _, _| {}) {
            Next::Stay => self.phase,
            Next::Enter => Phase::SecondOrder,
            Next::Collect | Next::Leave => Phase::FirstOrder,
        }
    }

    fn state_elements(&self) -> u64 {
        let projection = self.projection.as_ref();
        self.adam.as_ref().map_or(0, Adam::state_elements)
            + projection.map_or(0, |vectors| 2 * vectors.start.elem_count() as u64)
            + self
                .second
                .as_ref()
                .map_or(0, |second| second.get().state_elements())
    }

    fn vector_passes(&self) -> VectorPasses {
        let mut passes = self.released_passes;
        passes += self
            .adam
            .as_ref()
            .map(Adam::vector_passes)
            .unwrap_or_default();
        passes += self
            .second
            .as_ref()
            .map(|second| second.get().vector_passes())
            .unwrap_or_default();
        passes
    }

    /// `switch_batch`, or more if the second method asks for it; none where Adam acts.
    fn samples_wanted(&self) -> Option<u64> {
        if self.phase() == Phase::FirstOrder {
            return None;
        }
        let second = self.second.as_ref();
        let of_second = second.and_then(|second| second.get().samples_wanted());
        self.config.switch_batch.max(of_second)
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        let second = self.second.as_ref();
        Diagnostics {
            counters: second
                .map(|second| second.get().diagnostics().counters)
                .unwrap_or_default(),
            criteria: &self.records,
            switches: &self.switches,
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("phase", self.phase)?;
        state.set("collecting", self.collecting)?;
        state.set("released_passes", self.released_passes)?;
        state.set("switches", &self.switches)?;
        state.set("records", &self.records)?;
        self.statistics.save(&mut state)?;
        if let Some(adam) = &self.adam {
            state.nest("adam", adam.state()?);
        }
        if let Some(second) = &self.second {
            state.nest(second.key(), second.get().state()?);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let mut restored = self.config.clone().build(&self.parameters)?;
        restored.learning_rate = state.float("learning_rate")?;
        restored.phase = state.get("phase")?;
        restored.collecting = state.get("collecting")?;
        restored.released_passes = state.get("released_passes")?;
        restored.switches = state.get("switches")?;
        restored.records = state.get("records")?;
        restored.statistics.load(state)?;
        match &mut restored.adam {
            Some(adam) if state.metadata.get("adam").is_some() => {
                adam.restore(&state.nested("adam")?)?;
            }
            adam => (*adam, restored.projection) = (None, None),
        }
        let mut second = Second::build(&self.config, &self.parameters)?;
        if state.metadata.get(second.key()).is_some() {
            let nested = state.nested(second.key())?;
            second.get_mut().restore(&nested)?;
            restored.second = Some(second);
        }
        let held = match restored.phase {
            Phase::FirstOrder => restored.adam.is_some(),
            Phase::SecondOrder => restored.second.is_some(),
        };
        if !held {
            return Err(Error::Checkpoint(
                "the acting method's state is missing".into(),
            ));
        }
        *self = restored;
        Ok(())
    }
}
