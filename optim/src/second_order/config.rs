//! The settings of L-BFGS.

use candle_core::DType;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::Result;
use crate::line_search::LineSearch;

/// Settings of [`Lbfgs`](crate::Lbfgs). Those that `torch.optim.LBFGS` has too carry its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LbfgsConfig {
    /// The first step length tried along a direction. The very first direction has no curvature to
    /// scale it: it starts from `lr`·min(1, 1/‖d‖₁).
    pub lr: f64,
    /// Inner iterations in one step, at most.
    pub max_iter: u64,
    /// Evaluations in one step, at most. If not given, 5/4 of `max_iter`, as in PyTorch; under the
    /// strict limit at least 10, so that a step of few iterations can search too.
    pub max_eval: Option<u64>,
    /// A step ends when the gradient's largest component is at most this.
    pub tolerance_grad: f64,
    /// A step ends when an iteration changes the loss by less than this. 0 asks for no change.
    pub tolerance_change: f64,
    /// What the two tolerances are relative to.
    pub tolerances: Tolerances,
    /// How many curvature pairs are remembered.
    pub history_size: usize,
    /// How the step length is chosen.
    pub line_search: LineSearch,
    /// The constant c1 of the Armijo condition.
    pub c1: f64,
    /// The constant c2 of the curvature condition.
    pub c2: f64,
    /// The relative rounding error of the loss. Where a search's losses f(x) and f(x + t·d) differ by less
    /// than this share of f(x), the difference is taken from the slopes, t·(φ'(0) + φ'(t))/2, which is
    /// exact for a quadratic and which rounding hurts less (Hager & Zhang 2005, section 2). 0 takes the
    /// losses as they are. In f32 a search can fail without it long before the gradient is small.
    #[serde(skip_serializing_if = "is_zero")]
    pub loss_rounding: f64,
    /// The errors that the noise-tolerant search expects.
    #[serde(skip_serializing_if = "Noise::is_none")]
    pub noise: Noise,
    /// θ of the test that chooses the size of batches (progressive batching); the paper has 0.9.
    /// With the direction -Hg of a step and the gradients gᵢ of its batch's n samples, the batch is large
    /// enough if
    ///
    /// ```text
    /// Var(gᵢᵀH²g) / n ≤ θ²·‖Hg‖⁴,   Var with the divisor n - 1
    /// ```
    ///
    /// Otherwise batches should from the next one on have the n for which equality holds
    /// ([`samples_wanted`](crate::Optimizer::samples_wanted)), and never fewer again. The products gᵢᵀH²g are
    /// forward differences of the samples' losses along H²g
    /// ([`sample_losses`](crate::Objective::sample_losses)), which cost two evaluations of the loss in each
    /// step.
    ///
    /// Source: the inner-product quasi-Newton test of Bollapragada, Mudigere, Nocedal, Shi & Tang, arXiv
    /// 1802.05374, section 2.1. They enlarge the batch at hand, and start each search from a step that the
    /// variance shortens; here it is the next batch, and a search starts at `lr`.
    ///
    /// ```
    /// use candle_core::{Device, Var};
    /// use optim::{Gradient, LbfgsConfig, Meter, Objective, Optimizer, Oracle, Parameters, Result};
    ///
    /// // The mean of ½(x - cᵢ)² over some of many samples, whose gradients are x - cᵢ.
    /// struct Batch<'a> {
    ///     parameters: &'a Parameters,
    ///     samples: Vec<f64>,
    /// }
    ///
    /// impl Objective for Batch<'_> {
    ///     fn loss(&mut self) -> Result<f64> {
    ///         Ok(self.sample_losses()?.iter().sum::<f64>() / self.samples.len() as f64)
    ///     }
    ///
    ///     fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
    ///         let mean = self.samples.iter().sum::<f64>() / self.samples.len() as f64;
    ///         let gradient = (self.parameters.vars()[0].as_tensor() - mean)?;
    ///         Ok((self.loss()?, Gradient::new(self.parameters, vec![gradient])?))
    ///     }
    ///
    ///     fn sample_losses(&mut self) -> Result<Vec<f64>> {
    ///         let x = self.parameters.vars()[0].to_scalar::<f64>()?;
    ///         Ok(self.samples.iter().map(|c| 0.5 * (x - c).powi(2)).collect())
    ///     }
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// let parameters = Parameters::new([("x", Var::new(1f64, &Device::Cpu)?)])?;
    /// let config = LbfgsConfig { sample_test: Some(0.9), ..LbfgsConfig::default() };
    /// let mut lbfgs = config.build(&parameters)?;
    /// // g = 1 and H = I: Var(gᵢ·g) = 16·4/3 is more than 4 samples can bear, and needs 16·4/3/0.81 = 26.3.
    /// let mut batch = Batch { parameters: &parameters, samples: vec![4.0, -4.0, 4.0, -4.0] };
    /// lbfgs.step(&mut Oracle::new(&mut batch, &mut Meter::new()))?;
    /// assert_eq!(lbfgs.samples_wanted(), Some(27));
    /// # Ok(())
    /// # }
    /// ```
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_test: Option<f64>,
    /// How `max_eval` binds the line search.
    pub evaluation_limit: EvaluationLimit,
    /// Where the two gradients of a pair come from.
    pub pairs: PairSource,
    /// Which pairs are stored.
    pub guard: CurvatureGuard,
    /// The scale of the initial inverse Hessian.
    pub scaling: InitialScaling,
    /// The number format of stored pairs.
    pub history_precision: HistoryPrecision,
    /// Whether all pairs are dropped when a line search finds no better point, so that the next
    /// direction is steepest descent.
    pub restart: bool,
}

/// Evaluations of the loss that a test of the batch's size makes.
pub(super) const SAMPLE_TEST_EVALUATIONS: u64 = 2;

/// Bounds on the errors of losses and gradients, such as sampling or low precision makes, for
/// [`LineSearch::NoiseTolerant`].
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{LbfgsConfig, LineSearch, Loss, Meter, Noise, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// // A parabola with ripples: a slope differs by up to 0.02 from the parabola's.
/// let x = Var::new(3f64, &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut objective = Loss::new(&parameters, || (x.sqr()? * 0.5)? + ((x.as_tensor() * 100.0)?.sin()? * 2e-4)?);
/// let mut lbfgs = LbfgsConfig {
///     line_search: LineSearch::NoiseTolerant,
///     noise: Noise { loss: 2e-4, gradient: 0.02, ..Noise::default() },
///     ..LbfgsConfig::default()
/// }
/// .build(&parameters)?;
/// let mut meter = Meter::with_budget(30);
/// while meter.remaining() > 1 {
///     lbfgs.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// // To where the ripples hide the parabola's slope.
/// assert!(x.to_scalar::<f64>()?.abs() < 0.05);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// ε_f: of a loss.
    pub loss: f64,
    /// ε_g: of a gradient, in Euclidean norm.
    pub gradient: f64,
    /// c₃: two slopes along a direction d differ by more than noise if by (1 + c₃)·2ε_g·‖d‖.
    pub control: f64,
    /// If given, `loss` and `gradient` only hold until they are estimated, at the first search and
    /// every so many searches after that. An estimate takes 6 evaluations along the direction, or 12
    /// or 18 until their spacing is right; it sees errors that differ from point to point, such as
    /// those of low precision, not those of a batch that is the same at all points. Taken for
    /// uniform, errors of root mean square σ are bounded by √3·σ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_every: Option<u64>,
}

impl Default for Noise {
    fn default() -> Self {
        Self {
            loss: 0.0,
            gradient: 0.0,
            control: 0.5,
            estimate_every: None,
        }
    }
}

impl Noise {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What the tolerances of L-BFGS are relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tolerances {
    /// The function at hand: `tolerance_grad` to the largest component of the first gradient that
    /// the method saw, `tolerance_change` to the loss. So where L-BFGS stops does not depend on the
    /// units of the loss, and a small loss, such as Adam may leave behind, is minimized further.
    #[default]
    Relative,
    /// Nothing, as in PyTorch. `tolerance_change` then also ends a step whose direction promises
    /// less than that change, or which moves every parameter by less than that number.
    Absolute,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
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
    /// Both from the batch on which the move was made (Byrd et al. 2016). No pair comes from a last
    /// move whose end was not evaluated, as with a fixed step length.
    #[default]
    SameBatch,
    /// The gradient where the next iteration begins, even on another batch: what
    /// `torch.optim.LBFGS` does. The difference of two batches is then taken for curvature.
    Carried,
    /// Both from the new batch, which is also evaluated at the old point: one evaluation more per
    /// step.
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
            tolerance_grad: 1e-12,
            tolerance_change: 1e-9,
            tolerances: Tolerances::default(),
            history_size: 10,
            line_search: LineSearch::default(),
            c1: 1e-4,
            c2: 0.9,
            loss_rounding: 0.0,
            noise: Noise::default(),
            sample_test: None,
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
    /// 100 pairs carried across batches, pairs kept if sᵀy > 1e-10, absolute tolerances.
    pub fn torch() -> Self {
        Self {
            tolerance_grad: 1e-7,
            tolerances: Tolerances::Absolute,
            history_size: 100,
            line_search: LineSearch::Fixed,
            evaluation_limit: EvaluationLimit::Torch26,
            pairs: PairSource::Carried,
            guard: CurvatureGuard::Absolute(1e-10),
            restart: false,
            ..Self::default()
        }
    }

    /// The limit of evaluations in one step: what is given, or what its absence means.
    pub fn max_eval(&self) -> u64 {
        let least = match self.evaluation_limit {
            EvaluationLimit::Strict => 10,
            EvaluationLimit::Torch26 | EvaluationLimit::Torch25 => 1,
        };
        self.max_eval
            .unwrap_or_else(|| least.max(self.max_iter.saturating_mul(5) / 4))
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
        let tests = self.sample_test.map_or(0, |_| SAMPLE_TEST_EVALUATIONS);
        check::that(
            self.max_eval() >= least + tests,
            "max_eval",
            self.max_eval(),
            "at least 1, 2 for a line search under the strict limit, and 2 more for a `sample_test`",
        )?;
        check::non_negative("tolerance_grad", self.tolerance_grad)?;
        check::non_negative("tolerance_change", self.tolerance_change)?;
        let size = self.history_size;
        check::that(size > 0, "history_size", size, "at least 1")?;
        check::that(0.0 < self.c1 && self.c1 < 1.0, "c1", self.c1, "0 < c1 < 1")?;
        let ordered = self.c1 < self.c2 && self.c2 < 1.0;
        check::that(ordered, "c2", self.c2, "c1 < c2 < 1")?;
        check::non_negative("loss_rounding", self.loss_rounding)?;
        if let Some(theta) = self.sample_test {
            check::positive("sample_test", theta)?;
        }
        check::non_negative("noise.loss", self.noise.loss)?;
        check::non_negative("noise.gradient", self.noise.gradient)?;
        check::non_negative("noise.control", self.noise.control)?;
        let every = self.noise.estimate_every.unwrap_or(1);
        check::that(every > 0, "noise.estimate_every", every, "at least 1")?;
        let tolerant = self.line_search == LineSearch::NoiseTolerant;
        check::that(
            tolerant || self.noise.is_none(),
            "line_search",
            format_args!("{:?}", self.line_search),
            "NoiseTolerant beside `noise`, which no other search reads",
        )?;
        check::that(
            !tolerant || self.pairs == PairSource::SameBatch,
            "pairs",
            format_args!("{:?}", self.pairs),
            "SameBatch beside the noise-tolerant search, which takes pairs over its own intervals",
        )?;
        self.guard.validate()?;
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

/// Which pairs (s, y) are stored. A pair with sᵀy ≤ 0 would make the inverse Hessian
/// indefinite, and one with a tiny sᵀy would make it huge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CurvatureGuard {
    /// Skip unless sᵀy > ε, as PyTorch does with ε = 1e-10.
    Absolute(f64),
    /// Skip unless sᵀy > ε·‖s‖·‖y‖, which does not depend on the loss's or the parameters' scale
    /// (in the spirit of Li & Fukushima 2001).
    Cautious(f64),
    /// Where sᵀy < μ·sᵀB₀s, replace y by θ·y + (1 - θ)·B₀s so that equality holds (Powell 1978),
    /// with B₀ = I/γ instead of the full B (Wang, Ma, Goldfarb & Liu 2017). The first pair, for
    /// which γ is not known yet, is skipped unless sᵀy > 0.
    Powell(f64),
    /// Replace y by φ·y + (1 - φ)·s, and skip the pair unless sᵀy > `least` after that. With the
    /// curvature τ = sᵀy/sᵀs along s
    ///
    /// ```text
    /// φ = min(1 - share, (1 - low)/(1 - τ))      if τ < low
    ///     min(1 - share, (high - 1)/(τ - 1))     if τ > high
    ///     1 - share                              otherwise
    /// ```
    ///
    /// so that τ lies between `low` and max(1, `high`) afterwards (adaptive damping of Niu et al., arXiv
    /// 2307.13744, where y = s is the curvature of H₀ = I).
    Adaptive {
        /// The share of s in every y, from 0 to below 1.
        share: f64,
        /// The least curvature, from 0 to below 1.
        low: f64,
        /// The largest curvature, at least 1.
        high: f64,
        /// What sᵀy must exceed.
        least: f64,
    },
}

impl CurvatureGuard {
    pub(super) fn validate(&self) -> Result<()> {
        match *self {
            Self::Absolute(epsilon) | Self::Cautious(epsilon) => {
                check::non_negative("guard", epsilon)
            }
            Self::Powell(mu) => check::that(0.0 < mu && mu < 1.0, "guard", mu, "0 < μ < 1"),
            Self::Adaptive {
                share,
                low,
                high,
                least,
            } => {
                check::decay_rate("guard.share", share)?;
                check::decay_rate("guard.low", low)?;
                let above = high.is_finite() && high >= 1.0;
                check::that(above, "guard.high", high, "a finite number >= 1")?;
                check::non_negative("guard.least", least)
            }
        }
    }
}

impl Default for CurvatureGuard {
    fn default() -> Self {
        Self::Cautious(1e-8)
    }
}

/// The scale γ of the initial inverse Hessian H₀ = γ·I.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InitialScaling {
    /// γ = sᵀy / yᵀy of the newest pair (Nocedal & Wright 2006, eq. 7.20), as in PyTorch.
    #[default]
    Short,
    /// γ = sᵀs / sᵀy of the newest pair, the longer Barzilai-Borwein step.
    Long,
    /// A constant.
    Constant(f64),
}

/// The number format of stored pairs.
///
/// Products are taken with the pairs as stored, after rounding. So the approximation stays positive
/// definite with pairs in bf16. Evaluations to a loss of 1e-6 with f32 parameters and m = 10, as
/// `cargo test -p optim --test optimizers bf16 -- --nocapture` prints them:
///
/// | problem | f32 history | bf16 history |
/// |---|---|---|
/// | quadratic, d = 100, κ = 1e2 | 68 | 69 |
/// | quadratic, d = 100, κ = 1e4 | 542 | 540 |
/// | chained Rosenbrock, d = 20 | 147 | 145 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryPrecision {
    /// The format of the optimizer's other vectors: f64 for f64 parameters, else f32.
    #[default]
    Full,
    /// bf16, half the memory and traffic; needs an f32 state.
    Bf16,
}
