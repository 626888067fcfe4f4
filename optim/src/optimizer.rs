//! What every optimizer offers: a step on one batch, its phase, its cost and its state.

use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::{CriterionRecord, LbfgsCounts, Oracle, Parameters, Result};

/// An algorithm that moves [`Parameters`] towards lower loss.
///
/// One [`step`](Self::step) is what the algorithm does with one batch: a single update for
/// first-order methods, up to `max_iter` inner iterations for L-BFGS.
pub trait Optimizer {
    /// Moves the parameters once.
    ///
    /// # Errors
    /// When an evaluation fails or the budget holds no evaluation at all. Non-finite losses and
    /// failed line searches are no errors: they are reported in [`Step::stop`].
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step>;

    /// Tells that epoch `epoch` (from 0) begins; switch criteria may depend on it.
    fn start_epoch(&mut self, epoch: u64) {
        let _ = epoch;
    }

    /// The parameters that this optimizer moves.
    fn parameters(&self) -> &Parameters;

    /// The current learning rate of the first parameter group.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the first parameter group, and scales the other groups' alike.
    ///
    /// # Errors
    /// When the rate is not finite or negative.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;

    /// The phase that the next step belongs to, as far as it is known before the step.
    fn phase(&self) -> Phase;

    /// Elements of optimizer state held now (m and v, history, …), parameters and gradients excluded.
    fn state_elements(&self) -> u64;

    /// Passes over parameter-sized vectors so far.
    fn vector_passes(&self) -> VectorPasses;

    /// How curvature pairs and line searches fared so far; `None` while there are none.
    fn second_order_counts(&self) -> Option<LbfgsCounts> {
        None
    }

    /// All evaluations of the switch criterion so far, in order; none where nothing switches.
    fn criterion_records(&self) -> &[CriterionRecord] {
        &[]
    }

    /// Everything needed to continue bit for bit.
    ///
    /// # Errors
    /// When Candle cannot copy a tensor.
    fn state(&self) -> Result<State>;

    /// Continues from `state`.
    ///
    /// # Errors
    /// When the state is of another optimizer, configuration or parameter set.
    fn restore(&mut self, state: &State) -> Result<()>;
}

impl<O: Optimizer + ?Sized> Optimizer for Box<O> {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        (**self).step(oracle)
    }

    fn start_epoch(&mut self, epoch: u64) {
        (**self).start_epoch(epoch);
    }

    fn parameters(&self) -> &Parameters {
        (**self).parameters()
    }

    fn learning_rate(&self) -> f64 {
        (**self).learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        (**self).set_learning_rate(learning_rate)
    }

    fn phase(&self) -> Phase {
        (**self).phase()
    }

    fn state_elements(&self) -> u64 {
        (**self).state_elements()
    }

    fn vector_passes(&self) -> VectorPasses {
        (**self).vector_passes()
    }

    fn second_order_counts(&self) -> Option<LbfgsCounts> {
        (**self).second_order_counts()
    }

    fn criterion_records(&self) -> &[CriterionRecord] {
        (**self).criterion_records()
    }

    fn state(&self) -> Result<State> {
        (**self).state()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        (**self).restore(state)
    }
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// The line search found no acceptable point; the best point seen is kept.
    LineSearchFailed,
    /// The direction is not one of descent; the memory was cleared.
    NotDescent,
    /// Loss or gradient is not finite; the best finite point seen is kept.
    NonFinite,
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

/// Passes over vectors of the parameters' dimension d: the machine-independent cost of an update
/// rule. Evaluations of the objective are not included.
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
