//! What every optimizer offers: a step on one batch, its phase, its cost and its state.

use candle_core::Tensor;

use crate::error::Result;
use crate::objective::Oracle;
use crate::params::Parameters;
use crate::record::{Diagnostics, Phase, Step, VectorPasses};
use crate::state::State;

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
    /// When the rate is negative or not finite.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;

    /// The phase that the next step belongs to, as far as it is known before the step.
    fn phase(&self) -> Phase;

    /// Elements of optimizer state held now (m and v, history, …), parameters and gradients
    /// excluded.
    fn state_elements(&self) -> u64;

    /// Passes over parameter-sized vectors so far.
    fn vector_passes(&self) -> VectorPasses;

    /// The parameters' values at which the method's result is to be measured and taken, where they
    /// are not those at which it takes gradients: of a method that averages, the average. `None`
    /// means the parameters as they are.
    ///
    /// To measure, keep a [`snapshot`](Parameters::snapshot), [`restore`](Parameters::restore) these
    /// values, and restore the snapshot before the next step.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn evaluation_parameters(&self) -> Result<Option<Vec<Tensor>>> {
        Ok(None)
    }

    /// How many samples the next step's batch should have at least, from methods that choose the size
    /// of batches; `None` from others, and while any batch will do. An evaluation of a batch of n
    /// samples costs n sample gradients, which whoever draws the batches has to count: a
    /// [`Meter`](crate::Meter) counts evaluations.
    fn samples_wanted(&self) -> Option<u64> {
        None
    }

    /// What was counted and decided inside so far: curvature pairs, line searches, switch criteria.
    fn diagnostics(&self) -> Diagnostics<'_> {
        Diagnostics::default()
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

    fn evaluation_parameters(&self) -> Result<Option<Vec<Tensor>>> {
        (**self).evaluation_parameters()
    }

    fn samples_wanted(&self) -> Option<u64> {
        (**self).samples_wanted()
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        (**self).diagnostics()
    }

    fn state(&self) -> Result<State> {
        (**self).state()
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        (**self).restore(state)
    }
}
