//! What problems with mini-batches share.

use bench_data::{BatchOrder, OrderOptions};
use candle_core::Tensor;
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

/// The mean loss over a batch, and over those of its samples that the batch before has too.
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

    fn overlap_gradient(&mut self) -> optim::Result<Gradient> {
        let shared = self.shared.as_mut().ok_or(optim::Error::NoOverlap)?;
        Ok(shared.loss_and_gradient()?.1)
    }
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
