//! Cross-entropy, alone and after a linear map. The loss is of the arithmetic's type.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::{Gpu, GpuFloat, OnGpu, UntypedView, launch, size};
use crate::kernels::{LinearCrossEntropy, MeanCrossEntropy};

/// The target of a row that does not count, as in `kernels.cu`.
const LEFT_OUT: u32 = u32::MAX;

impl MeanCrossEntropy {
    fn targets_on_gpu(&self, gpu: &Gpu) -> Result<CudaSlice<u32>> {
        let targets: Vec<u32> = self
            .targets
            .iter()
            .map(|target| target.unwrap_or(LEFT_OUT))
            .collect();
        gpu.upload(&targets)
    }

    fn loss_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        logits: CudaView<'_, T>,
    ) -> Result<CudaSlice<T::Real>> {
        size(logits.len())?;
        let (rows, classes) = (size(self.targets.len())?, size(self.classes)?);
        let (smoothing, count) = (self.smoothing, self.count);
        let targets = self.targets_on_gpu(gpu)?;
        let mut losses = gpu.alloc_uninit::<f64>(rows as usize)?;
        let mut loss = gpu.alloc_uninit::<T::Real>(1)?;
        // SAFETY: the logits are `rows` rows of `classes`; there is a target and a loss for each.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("cross_entropy")?, (rows, 1),
                [logits, targets, classes, smoothing] => [losses])?;
            launch!(gpu, gpu.kernel::<T>("mean_loss")?, (1, 1), [losses, rows, count] => [loss])?;
        }
        Ok(loss)
    }

    /// Puts the gradient with respect to the logits in their place.
    fn differentiate_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        logits: &mut CudaSlice<T>,
        gradient: UntypedView<'_>,
    ) -> Result<()> {
        let (rows, classes) = (size(self.targets.len())?, size(self.classes)?);
        let (smoothing, count) = (self.smoothing, self.count);
        let targets = self.targets_on_gpu(gpu)?;
        let gradient = gradient.view::<T::Real>()?;
        let mut logits = logits.as_view_mut();
        // SAFETY: as for the loss, whose gradient is one number.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("cross_entropy_gradient")?, (rows, 1),
                [targets, gradient, classes, smoothing, count] => [logits])
        }
    }
}

impl OnGpu<1> for MeanCrossEntropy {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [logits]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        Ok(gpu.store(self.loss_on_gpu(gpu, logits)?))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [logits]: [CudaView<'_, T>; 1],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        _needed: [bool; 1],
    ) -> Result<[Option<CudaSlice<T>>; 1]> {
        let mut result = gpu.copy(&logits)?;
        self.differentiate_on_gpu(gpu, &mut result, gradient)?;
        Ok([Some(result)])
    }
}

impl OnGpu<2> for LinearCrossEntropy {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        let logits = self.affine.product_on_gpu(gpu, input, &weight)?;
        let loss = self.loss.loss_on_gpu(gpu, logits.as_view())?;
        self.saved.put(gpu.store(logits));
        Ok(gpu.store(loss))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight]: [CudaView<'_, T>; 2],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        needed: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        let mut logits = match self.saved.take::<CudaStorage>() {
            Some(saved) => saved,
            None => gpu.store(self.affine.product_on_gpu(gpu, input.slice(..), &weight)?),
        };
        let logits = logits.as_cuda_slice_mut::<T>()?;
        self.loss.differentiate_on_gpu(gpu, logits, gradient)?;
        self.affine
            .gradients_on_gpu(gpu, [input, weight], &logits.as_view(), needed)
    }
}
