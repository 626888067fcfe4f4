//! Convolutions with a bias. The convolutions themselves are cuDNN's.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::batch_norm::{ImageSizes, channel_sums};
use super::linear::add_bias;
use super::{Gpu, GpuFloat, OnGpu, UntypedView};
use crate::kernels::Convolve;

impl OnGpu<2> for Convolve {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        Ok(gpu.store(self.0.convolve_on_gpu(gpu, &input, &weight)?))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        inputs: [CudaView<'_, T>; 2],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        needed: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        self.0
            .gradients_on_gpu(gpu, inputs, &gradient.view()?, needed)
    }
}

impl OnGpu<3> for Convolve {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, bias]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        let mut output = self.0.convolve_on_gpu(gpu, &input, &weight)?;
        add_bias(gpu, bias, self.0.out_plane(), &mut output)?;
        Ok(gpu.store(output))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, bias]: [CudaView<'_, T>; 3],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let gradient = gradient.view()?;
        let needed = [input_needed, weight_needed];
        let [input, weight] = self
            .0
            .gradients_on_gpu(gpu, [input, weight], &gradient, needed)?;
        let bias = if bias_needed {
            let sizes = ImageSizes::new(gradient.len(), bias.len(), self.0.out_plane())?;
            Some(channel_sums(gpu, &gradient, sizes)?)
        } else {
            None
        };
        Ok([input, weight, bias])
    }
}

#[cfg(not(feature = "cudnn"))]
impl crate::kernels::Geometry {
    pub(super) fn convolve_on_gpu<T: GpuFloat>(
        &self,
        _: &Gpu,
        _: &CudaView<'_, T>,
        _: &CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        candle_core::bail!("convolutions on GPUs need feature `cudnn`")
    }

    pub(super) fn gradients_on_gpu<T: GpuFloat>(
        &self,
        _: &Gpu,
        _: [CudaView<'_, T>; 2],
        _: &CudaView<'_, T>,
        _: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        candle_core::bail!("convolutions on GPUs need feature `cudnn`")
    }
}
