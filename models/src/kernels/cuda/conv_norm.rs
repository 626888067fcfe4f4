//! A convolution and its batch normalisation, with the shortcut's addition and ReLU fused in.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result, Storage, bail};

use super::batch_norm::ImageSizes;
use super::{Gpu, GpuFloat, OnGpu, UntypedView};
use crate::kernels::ConvolveNormalize;

impl ConvolveNormalize {
    fn sizes(&self) -> Result<ImageSizes> {
        let geometry = &self.geometry;
        ImageSizes::new(
            geometry.batch * geometry.out_size(),
            geometry.out_channels,
            geometry.out_plane(),
        )
    }

    /// The convolution's weight, the normalisation's weight, its bias.
    fn split_on_gpu<'a, T>(&self, parameters: &CudaView<'a, T>) -> [CudaView<'a, T>; 3] {
        let (kernel, rest) = parameters.split_at(self.geometry.weight_size());
        let (weight, bias) = rest.split_at(self.geometry.out_channels);
        [kernel, weight, bias]
    }

    fn values_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        input: CudaView<'_, T>,
        parameters: &CudaView<'_, T>,
        shortcut: Option<CudaView<'_, T>>,
    ) -> Result<CudaStorage> {
        let [kernel, weight, bias] = self.split_on_gpu(parameters);
        let convolved = self.geometry.convolve_on_gpu(gpu, &input, &kernel)?;
        let values = convolved.as_view();
        let output = self.normalization.apply_on_gpu(
            gpu,
            self.sizes()?,
            values,
            [weight, bias],
            shortcut,
        )?;
        self.convolved
            .get_or_init(|| Storage::Cuda(gpu.store(convolved)));
        Ok(gpu.store(output))
    }

    /// The gradients with respect to input, parameters and shortcut.
    fn gradients_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, parameters]: [CudaView<'_, T>; 2],
        [output, gradient]: [UntypedView<'_>; 2],
        input_needed: bool,
        with_shortcut: bool,
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let [kernel, weight, _] = self.split_on_gpu(&parameters);
        let Some(Storage::Cuda(convolved)) = self.convolved.get() else {
            bail!("the forward pass comes first")
        };
        let convolved = convolved.as_cuda_slice::<T>()?.as_view();
        let behind = [output.view()?, gradient.view()?];
        let sizes = self.sizes()?;
        let normalization = &self.normalization;
        let gradients =
            normalization.gradients_on_gpu(gpu, sizes, convolved, weight, behind, with_shortcut)?;
        let values = gradients.values.as_view();
        let needed = [input_needed, true];
        let [input_gradient, kernel_gradient] =
            self.geometry
                .gradients_on_gpu(gpu, [input, kernel], &values, needed)?;
        let mut all = gpu.alloc_uninit::<T>(parameters.len())?;
        let mut start = 0;
        for part in kernel_gradient
            .iter()
            .chain([&gradients.weight, &gradients.bias])
        {
            let end = start + part.len();
            gpu.device
                .memcpy_dtod(part, &mut all.slice_mut(start..end))?;
            start = end;
        }
        Ok([input_gradient, Some(all), gradients.shortcut])
    }
}

impl OnGpu<2> for ConvolveNormalize {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, parameters]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        self.values_on_gpu(gpu, input, &parameters, None)
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        inputs: [CudaView<'_, T>; 2],
        output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        [input_needed, _]: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        let [input, parameters, _] =
            self.gradients_on_gpu(gpu, inputs, [output, gradient], input_needed, false)?;
        Ok([input, parameters])
    }
}

impl OnGpu<3> for ConvolveNormalize {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, parameters, shortcut]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        self.values_on_gpu(gpu, input, &parameters, Some(shortcut))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, parameters, _shortcut]: [CudaView<'_, T>; 3],
        output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        [input_needed, ..]: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        self.gradients_on_gpu(
            gpu,
            [input, parameters],
            [output, gradient],
            input_needed,
            true,
        )
    }
}
