//! What problems with mini-batches share.

use bench_data::{BatchOrder, OrderOptions};
use candle_core::{DType, Tensor};
use models::Tensors;
use optim::{Gradient, Objective};

use crate::settings::Invalid;

/// Whether a share to hold out is one.
pub(super) fn check_share(validation: Option<f64>) -> Result<(), Invalid> {
    match validation {
        Some(share) if !(share > 0.0 && share < 1.0) => Err(Invalid::value(
            "validation",
            share,
            "a share between 0 and 1 is needed",
        )),
        _ => Ok(()),
    }
}

/// The loss of a batch, and of the samples that it shares with the batch before.
pub(super) struct BatchLoss<L> {
    pub(super) batch: L,
    pub(super) shared: Option<L>,
}

impl<L: Objective> Objective for BatchLoss<L> {
    fn loss(&mut self) -> optim::Result<f64> {
        self.batch.loss()
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        self.batch.loss_and_gradient()
    }

    fn trial_loss(&mut self) -> optim::Result<f64> {
        self.batch.trial_loss()
    }

    fn overlap_gradient(&mut self) -> optim::Result<Gradient> {
        let shared = self.shared.as_mut().ok_or(optim::Error::NoOverlap)?;
        Ok(shared.loss_and_gradient()?.1)
    }

    fn sample_losses(&mut self) -> optim::Result<Vec<f64>> {
        self.batch.sample_losses()
    }
}

/// The objective of a network with buffers, such as running statistics.
///
/// They move where an optimizer stays. Trials that it rejects, gradients of shared samples, losses of
/// single samples and points where the loss or a running statistic is not finite leave them as they
/// were, bit for bit. Nothing else could keep a trace: dropout draws from the step's seed alone.
pub(super) struct WithBuffers<'a, O> {
    objective: O,
    tensors: &'a Tensors,
    /// The buffers as each trial would leave them, until one is accepted.
    trials: Vec<Vec<Tensor>>,
}

impl<'a, O: Objective> WithBuffers<'a, O> {
    /// Watches over the buffers that evaluations of `objective` move.
    pub(super) fn new(objective: O, tensors: &'a Tensors) -> Self {
        Self {
            objective,
            tensors,
            trials: Vec::new(),
        }
    }

    /// An evaluation whose trace is kept if `keep` says so of what it gives.
    fn evaluate<R>(
        &mut self,
        evaluation: impl FnOnce(&mut O) -> optim::Result<R>,
        keep: impl FnOnce(&R) -> bool,
    ) -> optim::Result<R> {
        let before = self.tensors.snapshot_buffers()?;
        let result = evaluation(&mut self.objective);
        let kept = result.as_ref().is_ok_and(keep) && all_finite(self.tensors)?;
        if !kept {
            self.tensors.restore_buffers(&before)?;
        }
        result
    }

    /// An evaluation whose trace waits until it is accepted.
    fn tried<R>(
        &mut self,
        evaluation: impl FnOnce(&mut Self) -> optim::Result<R>,
    ) -> optim::Result<R> {
        let before = self.tensors.snapshot_buffers()?;
        let result = evaluation(self)?;
        self.trials.push(self.tensors.snapshot_buffers()?);
        self.tensors.restore_buffers(&before)?;
        Ok(result)
    }
}

impl<O: Objective> Objective for WithBuffers<'_, O> {
    fn loss(&mut self) -> optim::Result<f64> {
        self.evaluate(O::loss, |loss| loss.is_finite())
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        self.evaluate(O::loss_and_gradient, |(loss, _)| loss.is_finite())
    }

    fn trial(&mut self) -> optim::Result<(f64, Gradient)> {
        self.tried(Self::loss_and_gradient)
    }

    fn trial_loss(&mut self) -> optim::Result<f64> {
        self.tried(Self::loss)
    }

    fn end_trials(&mut self, accepted: Option<usize>) -> optim::Result<()> {
        let trials = std::mem::take(&mut self.trials);
        if let Some(buffers) = accepted.and_then(|trial| trials.get(trial)) {
            self.tensors.restore_buffers(buffers)?;
        }
        Ok(())
    }

    fn overlap_gradient(&mut self) -> optim::Result<Gradient> {
        self.evaluate(O::overlap_gradient, |_| false)
    }

    fn sample_losses(&mut self) -> optim::Result<Vec<f64>> {
        self.evaluate(O::sample_losses, |_| false)
    }
}

/// Whether all buffers hold finite numbers only.
pub(super) fn all_finite(tensors: &Tensors) -> candle_core::Result<bool> {
    let buffers = tensors.buffers.iter();
    let flat: Vec<Tensor> = buffers
        .map(|(_, buffer)| buffer.as_detached_tensor().flatten_all())
        .collect::<candle_core::Result<_>>()?;
    if flat.is_empty() {
        return Ok(true);
    }
    let values = Tensor::cat(&flat, 0)?.to_dtype(DType::F64)?;
    let values = values.to_vec1::<f64>()?;
    Ok(values.iter().all(|value| value.is_finite()))
}

/// The first samples of a batch that it shares with the batch before, in the tensors of inputs and answers.
pub(super) fn shared(
    batch: &(Tensor, Tensor),
    overlap: usize,
) -> candle_core::Result<Option<(Tensor, Tensor)>> {
    let count = overlap.min(batch.0.dim(0)?);
    if count == 0 {
        return Ok(None);
    }
    Ok(Some((
        batch.0.narrow(0, 0, count)?,
        batch.1.narrow(0, 0, count)?,
    )))
}

/// Whether batches of `batch_size` can be drawn so, from as many samples as there may be.
pub(super) fn check_order(batch_size: usize, order: &OrderOptions) -> Result<(), Invalid> {
    BatchOrder::with_options(0, u32::MAX as usize, batch_size, order)
        .map(|_| ())
        .map_err(|error| Invalid::new("order", error))
}
