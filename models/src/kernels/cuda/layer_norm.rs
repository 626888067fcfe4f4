//! Layer normalisation.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::linear::{column_totals, pieces};
use super::{Gpu, GpuFloat, OnGpu, THREADS, UntypedView, launch, size};
use crate::kernels::LayerNormalize;

impl OnGpu<3> for LayerNormalize {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, bias]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        let (rows, width, eps) = (size(input.len() / self.width)?, size(self.width)?, self.eps);
        size(input.len())?;
        let mut output = gpu.alloc_uninit::<T>(input.len())?;
        // SAFETY: input and output are `rows` rows of `width` elements, weight and bias one.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("layer_norm")?, (rows, 1),
                [input, weight, bias, width, eps] => [output])?;
        }
        Ok(gpu.store(output))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, _bias]: [CudaView<'_, T>; 3],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        _needed: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let (rows, width, eps) = (size(input.len() / self.width)?, size(self.width)?, self.eps);
        let gradient = gradient.view::<T>()?;
        let mut moments = gpu.alloc_uninit::<T::Real>(2 * rows as usize)?;
        let mut result = gpu.alloc_uninit::<T>(input.len())?;
        // SAFETY: as in the forward pass; each row leaves two moments.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("layer_norm_gradient")?, (rows, 1),
                [input, weight, gradient, width, eps] => [moments, result])?;
        }
        let (pieces, piece) = pieces(rows as usize)?;
        let mut partials = gpu.alloc_uninit::<T::Real>(2 * pieces as usize * self.width)?;
        let blocks = (width.div_ceil(THREADS), pieces);
        // SAFETY: each piece leaves two rows of sums.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("layer_norm_sums")?, blocks,
                [input, gradient, moments, rows, width, piece] => [partials])?;
        }
        let (weights, biases) = partials.split_at(pieces as usize * self.width);
        Ok([
            Some(result),
            Some(column_totals(gpu, weights, pieces, self.width)?),
            Some(column_totals(gpu, biases, pieces, self.width)?),
        ])
    }
}
