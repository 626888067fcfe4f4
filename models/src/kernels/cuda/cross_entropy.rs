//! Cross-entropy, alone and after a linear map. The loss is of the arithmetic's type.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result, Storage};

use super::{Card, CardFloat, LinearCrossEntropy, MeanCrossEntropy, OnCard, Values, launch, size};

/// The target of a row that does not count, as in `kernels.cu`.
const LEFT_OUT: u32 = u32::MAX;

impl MeanCrossEntropy {
    fn targets_on_card(&self, card: &Card) -> Result<CudaSlice<u32>> {
        let targets: Vec<u32> = self
            .targets
            .iter()
            .map(|target| target.unwrap_or(LEFT_OUT))
            .collect();
        card.upload(&targets)
    }

    fn loss_on_card<T: CardFloat>(
        &self,
        card: &Card,
        logits: CudaView<'_, T>,
    ) -> Result<CudaSlice<T::Real>> {
        size(logits.len())?;
        let (rows, classes) = (size(self.targets.len())?, size(self.classes)?);
        let (smoothing, count) = (self.smoothing, self.count);
        let targets = self.targets_on_card(card)?;
        let mut losses = card.room::<f64>(rows as usize)?;
        let mut loss = card.room::<T::Real>(1)?;
        // SAFETY: the logits are `rows` rows of `classes`; there is a target and a loss for each.
        unsafe {
            launch!(card, card.kernel::<T>("cross_entropy")?, (rows, 1),
                [logits, targets, classes, smoothing] => [losses])?;
            launch!(card, card.kernel::<T>("mean_loss")?, (1, 1), [losses, rows, count] => [loss])?;
        }
        Ok(loss)
    }

    /// Puts the gradient with respect to the logits in their place.
    fn differentiate_on_card<T: CardFloat>(
        &self,
        card: &Card,
        logits: &mut CudaSlice<T>,
        gradient: Values<'_>,
    ) -> Result<()> {
        let (rows, classes) = (size(self.targets.len())?, size(self.classes)?);
        let (smoothing, count) = (self.smoothing, self.count);
        let targets = self.targets_on_card(card)?;
        let gradient = gradient.view::<T::Real>()?;
        let mut logits = logits.as_view_mut();
        // SAFETY: as for the loss, whose gradient is one number.
        unsafe {
            launch!(card, card.kernel::<T>("cross_entropy_gradient")?, (rows, 1),
                [targets, gradient, classes, smoothing, count] => [logits])
        }
    }
}

impl OnCard<1> for MeanCrossEntropy {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [logits]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        Ok(card.store(self.loss_on_card(card, logits)?))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [logits]: [CudaView<'_, T>; 1],
        _output: Values<'_>,
        gradient: Values<'_>,
        _needed: [bool; 1],
    ) -> Result<[Option<CudaSlice<T>>; 1]> {
        let mut result = card.copy(&logits)?;
        self.differentiate_on_card(card, &mut result, gradient)?;
        Ok([Some(result)])
    }
}

impl OnCard<2> for LinearCrossEntropy {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        let logits = self.affine.product_on_card(card, input, &weight)?;
        let loss = self.loss.loss_on_card(card, logits.as_view())?;
        self.kept.put(Storage::Cuda(card.store(logits)));
        Ok(card.store(loss))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight]: [CudaView<'_, T>; 2],
        _output: Values<'_>,
        gradient: Values<'_>,
        needed: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        let mut logits = match self.kept.take() {
            Some(Storage::Cuda(kept)) => kept,
            _ => card.store(
                self.affine
                    .product_on_card(card, input.slice(..), &weight)?,
            ),
        };
        let logits = logits.as_cuda_slice_mut::<T>()?;
        self.loss.differentiate_on_card(card, logits, gradient)?;
        self.affine
            .gradients_on_card(card, [input, weight], &logits.as_view(), needed)
    }
}
