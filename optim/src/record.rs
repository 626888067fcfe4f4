//! What optimizers report: the outcome and cost of each step, and, by name, what they counted and
//! decided along the way.
//!
//! Nothing here belongs to one method. An optimizer fills what applies to it: see
//! [`Diagnostics`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// First-order or second-order work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Updates from gradients alone: SGD, Adam.
    FirstOrder,
    /// Updates from curvature pairs: L-BFGS.
    SecondOrder,
}

/// Why a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The one update of a first-order step was made.
    Updated,
    /// The largest gradient component is at most `tolerance_grad`.
    GradientTolerance,
    /// Loss or parameters changed by less than `tolerance_change`.
    ChangeTolerance,
    /// `max_iter` inner iterations were made.
    MaxIterations,
    /// `max_eval` evaluations were made in this step.
    MaxEvaluations,
    /// The run's budget of evaluations is spent.
    BudgetSpent,
    /// The line search found no acceptable point; the best point it tried is kept.
    LineSearchFailed,
    /// The direction is not one of descent; the curvature pairs were cleared.
    NotDescent,
    /// Loss or gradient is not finite; the best finite point is kept.
    NonFinite,
    /// A reason of a method outside this crate, by name.
    Other(&'static str),
}

impl StopReason {
    /// The reason's name, in lower case with hyphens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::GradientTolerance => "gradient-tolerance",
            Self::ChangeTolerance => "change-tolerance",
            Self::MaxIterations => "max-iterations",
            Self::MaxEvaluations => "max-evaluations",
            Self::BudgetSpent => "budget-spent",
            Self::LineSearchFailed => "line-search-failed",
            Self::NotDescent => "not-descent",
            Self::NonFinite => "non-finite",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The loss where the step began, on the step's batch.
    pub loss: f64,
    /// The loss where the step ended, on the same batch, if the step evaluated it.
    pub final_loss: Option<f64>,
    /// The Euclidean norm of the gradient where the step began.
    pub gradient_norm: f64,
    /// What kind of update was made.
    pub phase: Phase,
    /// Inner iterations: 1 for first-order methods.
    pub iterations: u64,
    /// Why the step ended.
    pub stop: StopReason,
}

/// Passes over vectors of the parameters' dimension d: the cost of an update rule, whatever the
/// machine. Evaluations of the objective are not included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorPasses {
    /// Vectors read.
    pub reads: u64,
    /// Vectors written.
    pub writes: u64,
}

impl std::ops::AddAssign for VectorPasses {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.writes += other.writes;
    }
}

/// What an optimizer counted and decided so far, beyond what its [`Step`]s say. Each field is empty
/// for a method that has nothing to put there.
///
/// ```
/// use optim::{Counters, CriterionRecord, Diagnostics, PairCounts};
///
/// // A method that skips noisy curvature pairs, and tests whether its steps have become noise.
/// let tests = [CriterionRecord {
///     step: 7,
///     epoch: 0,
///     criterion: "noise level".into(),
///     value: 0.5,
///     threshold: 1.0,
///     fired: true,
/// }];
/// let diagnostics = Diagnostics {
///     counters: Counters::from([("pairs-skipped", 3), ("lengthened-differences", 2)]),
///     criteria: &tests,
///     ..Diagnostics::default()
/// };
/// assert_eq!(diagnostics.counters.get("lengthened-differences"), 2);
/// assert_eq!(PairCounts::from(&diagnostics.counters).skipped, 3);
/// assert!(diagnostics.criteria[0].fired);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diagnostics<'a> {
    /// Events counted so far, by name.
    pub counters: Counters,
    /// All evaluations of criteria so far, in order.
    pub criteria: &'a [CriterionRecord],
    /// All changes of method so far, in order.
    pub switches: &'a [Switch],
}

/// Numbers of events, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// The count of `name`; 0 if it was never set.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Sets the count of `name`.
    pub fn set(&mut self, name: &'static str, count: u64) {
        self.0.insert(name, count);
    }

    /// Names and counts, in the names' order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, *count))
    }
}

impl<const N: usize> From<[(&'static str, u64); N]> for Counters {
    fn from(counts: [(&'static str, u64); N]) -> Self {
        Self(counts.into())
    }
}

/// One evaluation of a criterion: a number, what it is compared with, and the outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriterionRecord {
    /// Steps made before.
    pub step: u64,
    /// The epoch.
    pub epoch: u64,
    /// The criterion's name.
    pub criterion: String,
    /// The number that it judged.
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

/// A change of method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Steps made before.
    pub step: u64,
    /// The epoch.
    pub epoch: u64,
    /// The kind of method from here on.
    pub to: Phase,
    /// Curvature pairs that the new method starts with.
    pub pairs: usize,
}

/// What became of the curvature pairs that were offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// Pairs stored, damped ones included.
    pub stored: u64,
    /// Pairs refused by the guard.
    pub skipped: u64,
    /// Pairs changed by Powell's damping.
    pub damped: u64,
}

impl PairCounts {
    const STORED: &str = "pairs-stored";
    const SKIPPED: &str = "pairs-skipped";
    const DAMPED: &str = "pairs-damped";

    /// Enters the counts into `counters`.
    pub fn enter(self, counters: &mut Counters) {
        counters.set(Self::STORED, self.stored);
        counters.set(Self::SKIPPED, self.skipped);
        counters.set(Self::DAMPED, self.damped);
    }
}

/// The counts that [`PairCounts::enter`] entered; 0 for a method without curvature pairs.
impl From<&Counters> for PairCounts {
    fn from(counters: &Counters) -> Self {
        Self {
            stored: counters.get(Self::STORED),
            skipped: counters.get(Self::SKIPPED),
            damped: counters.get(Self::DAMPED),
        }
    }
}
