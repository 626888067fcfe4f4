//! Batch normalisation, with the shortcut's addition and ReLU fused in.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, Result, Storage, Tensor, bail};

use super::{Gpu, GpuFloat, OnGpu, UntypedView, grid, launch, size};
use crate::kernels::{BatchNormalize, Normalization};

/// The sizes of `[images, channels, plane]`, as the kernels take them.
#[derive(Clone, Copy)]
pub(super) struct ImageSizes {
    images: u32,
    channels: u32,
    plane: u32,
    /// Elements in all.
    count: u32,
}

impl ImageSizes {
    pub(super) fn new(elements: usize, channels: usize, plane: usize) -> Result<Self> {
        Ok(Self {
            images: size(elements / (channels * plane).max(1))?,
            channels: size(channels)?,
            plane: size(plane)?,
            count: size(elements)?,
        })
    }

    /// Values in a channel.
    fn of_channel(&self) -> f64 {
        f64::from(self.images) * f64::from(self.plane)
    }

    /// One block for every 4,096 values of a channel, at most 64.
    fn blocks(&self) -> (u32, u32) {
        (
            self.channels,
            (self.images * self.plane).div_ceil(4096).clamp(1, 64),
        )
    }

    fn partials(&self, gpu: &Gpu) -> Result<CudaSlice<f64>> {
        let (channels, pieces) = self.blocks();
        gpu.alloc_uninit(2 * channels as usize * pieces as usize)
    }
}

/// For each block, the sum and the sum of squares of its part of a channel: of the values, or, when
/// `shifted`, of their distances from the channel's first value.
fn partial_sums<T: GpuFloat>(
    gpu: &Gpu,
    values: &CudaView<'_, T>,
    sizes: ImageSizes,
    shifted: bool,
) -> Result<CudaSlice<f64>> {
    let ImageSizes {
        images,
        channels,
        plane,
        ..
    } = sizes;
    let (values, blocks, shifted) = (values.slice(..), sizes.blocks(), u32::from(shifted));
    let mut partials = sizes.partials(gpu)?;
    // SAFETY: the values are those of all images; each block leaves two sums.
    unsafe {
        launch!(gpu, gpu.kernel::<T>("channel_sums")?, blocks,
            [values, images, channels, plane, shifted] => [partials])?;
    }
    Ok(partials)
}

/// The sum of each channel over all images.
pub(super) fn channel_sums<T: GpuFloat>(
    gpu: &Gpu,
    values: &CudaView<'_, T>,
    sizes: ImageSizes,
) -> Result<CudaSlice<T>> {
    let partials = partial_sums(gpu, values, sizes, false)?;
    let (channels, pieces) = sizes.blocks();
    let mut sums = gpu.alloc_uninit::<T>(channels as usize)?;
    // SAFETY: each piece of a channel has left two sums.
    unsafe {
        launch!(gpu, gpu.kernel::<T>("channel_totals")?, grid(channels),
            [partials, pieces, channels] => [sums])?;
    }
    Ok(sums)
}

/// The mean and the biased variance of each channel: all means, then all variances.
fn moments<T: GpuFloat>(
    gpu: &Gpu,
    values: &CudaView<'_, T>,
    sizes: ImageSizes,
) -> Result<CudaSlice<f64>> {
    let partials = partial_sums(gpu, values, sizes, true)?;
    let ((channels, pieces), plane, count) = (sizes.blocks(), sizes.plane, sizes.of_channel());
    let values = values.slice(..);
    let mut moments = gpu.alloc_uninit::<f64>(2 * channels as usize)?;
    // SAFETY: as above; there are two moments for each channel.
    unsafe {
        launch!(gpu, gpu.kernel::<T>("channel_moments")?, grid(channels),
            [values, partials, pieces, channels, plane, count] => [moments])?;
    }
    Ok(moments)
}

/// What a normalisation's backward pass gives.
pub(super) struct NormalizationGradients<T> {
    pub(super) values: CudaSlice<T>,
    pub(super) weight: CudaSlice<T>,
    pub(super) bias: CudaSlice<T>,
    /// That of the shortcut: the gradient behind ReLU.
    pub(super) shortcut: Option<CudaSlice<T>>,
}

impl Normalization {
    /// `y = relu(x scale + shift + shortcut)`.
    pub(super) fn apply_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        sizes: ImageSizes,
        values: CudaView<'_, T>,
        [weight, bias]: [CudaView<'_, T>; 2],
        shortcut: Option<CudaView<'_, T>>,
    ) -> Result<CudaSlice<T>> {
        let ImageSizes {
            channels,
            plane,
            count,
            ..
        } = sizes;
        let statistics = match &self.running {
            Some(running) => gpu.upload(&[&running.mean[..], &running.var].concat())?,
            None => moments(gpu, &values, sizes)?,
        };
        let (moments, eps, relu) = (statistics.as_view(), self.eps, u32::from(self.relu));
        let mut scales = gpu.alloc_uninit::<T::Real>(2 * channels as usize)?;
        let mut output = gpu.alloc_uninit::<T>(values.len())?;
        // SAFETY: two moments and scales, a weight and a bias for each channel; the other vectors
        // have `count` elements.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("channel_scales")?, grid(channels),
                [moments, weight, bias, eps, channels] => [scales])?;
            let kernel = gpu.kernel::<T>("normalize")?;
            match shortcut {
                Some(shortcut) => launch!(gpu, kernel, grid(count),
                    [values, scales, shortcut, count, channels, plane, relu] => [output])?,
                None => launch!(gpu, kernel, grid(count),
                    [values, scales, NOTHING, count, channels, plane, relu] => [output])?,
            }
        }
        let statistics = Storage::Cuda(gpu.store(statistics));
        let shape = (2, channels as usize);
        self.gpu_moments
            .get_or_init(|| Tensor::from_storage(statistics, shape, BackpropOp::none(), false));
        Ok(output)
    }

    pub(super) fn gradients_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        sizes: ImageSizes,
        values: CudaView<'_, T>,
        weight: CudaView<'_, T>,
        [output, gradient]: [CudaView<'_, T>; 2],
        with_shortcut: bool,
    ) -> Result<NormalizationGradients<T>> {
        let ImageSizes {
            images,
            channels,
            plane,
            count,
        } = sizes;
        let Some(used) = self.gpu_moments.get() else {
            bail!("batch norm: the forward pass comes first")
        };
        let (used, layout) = used.storage_and_layout();
        let Storage::Cuda(used) = &*used else {
            bail!("batch norm: the forward pass was on another device")
        };
        let moments = UntypedView {
            storage: used,
            layout,
        }
        .view::<f64>()?;
        let (eps, relu, own) = (
            self.eps,
            u32::from(self.relu),
            u32::from(self.running.is_none()),
        );
        let (blocks, of_channel) = (sizes.blocks(), sizes.of_channel());
        let pieces = blocks.1;
        let mut partials = sizes.partials(gpu)?;
        let mut coefficients = gpu.alloc_uninit::<T::Real>(4 * channels as usize)?;
        let [mut weights, mut biases] = [
            gpu.alloc_uninit::<T>(channels as usize)?,
            gpu.alloc_uninit::<T>(channels as usize)?,
        ];
        let mut result = gpu.alloc_uninit::<T>(values.len())?;
        let mut shortcut = with_shortcut
            .then(|| gpu.alloc_uninit::<T>(values.len()))
            .transpose()?;
        // SAFETY: as in the forward pass; each block leaves two sums, and there are four
        // coefficients for a channel.
        unsafe {
            let kernel = gpu.kernel::<T>("normalize_sums")?;
            match shortcut.as_mut().map(CudaSlice::as_view_mut) {
                Some(mut masked) => launch!(gpu, kernel, blocks,
                    [values, output, gradient, moments, images, channels, plane, relu]
                    => [masked, partials])?,
                None => launch!(gpu, kernel, blocks,
                    [values, output, gradient, moments, images, channels, plane, relu, NOTHING]
                    => [partials])?,
            }
            launch!(gpu, gpu.kernel::<T>("channel_gradients")?, grid(channels),
                [partials, moments, weight, pieces, channels, of_channel, eps, own]
                => [coefficients, weights, biases])?;
            launch!(gpu, gpu.kernel::<T>("normalize_gradient")?, grid(count),
                [values, output, gradient, coefficients, count, channels, plane, relu]
                => [result])?;
        }
        Ok(NormalizationGradients {
            values: result,
            weight: weights,
            bias: biases,
            shortcut,
        })
    }
}

/// The null pointer, which kernels take for a vector that is not there.
const NOTHING: u64 = 0;

impl BatchNormalize {
    fn sizes(&self, elements: usize, weight: usize) -> Result<ImageSizes> {
        ImageSizes::new(elements, weight, self.plane)
    }
}

impl OnGpu<3> for BatchNormalize {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, bias]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        let sizes = self.sizes(input.len(), weight.len())?;
        let output = self
            .normalization
            .apply_on_gpu(gpu, sizes, input, [weight, bias], None)?;
        Ok(gpu.store(output))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, _bias]: [CudaView<'_, T>; 3],
        output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        _needed: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let sizes = self.sizes(input.len(), weight.len())?;
        let behind = [output.view()?, gradient.view()?];
        let gradients = self
            .normalization
            .gradients_on_gpu(gpu, sizes, input, weight, behind, false)?;
        Ok([
            Some(gradients.values),
            Some(gradients.weight),
            Some(gradients.bias),
        ])
    }
}
