//! Batch normalisation, alone and after a convolution, with the shortcut's addition and ReLU fused in.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, Result, Storage, Tensor, bail};

use super::{BatchNorm, Card, CardFloat, ConvolveNormalize, OnCard, Values, grid, launch, size};
use crate::kernels::Normalization;

/// The sizes of `[images, channels, plane]`, as the kernels take them.
#[derive(Clone, Copy)]
pub(super) struct Images {
    images: u32,
    channels: u32,
    plane: u32,
    /// Elements in all.
    count: u32,
}

impl Images {
    pub(super) fn new(elements: usize, channels: usize, plane: usize) -> Result<Self> {
        Ok(Self {
            images: size(elements / (channels * plane).max(1))?,
            channels: size(channels)?,
            plane: size(plane)?,
            count: size(elements)?,
        })
    }

    /// Values of a channel.
    fn of_channel(&self) -> f64 {
        f64::from(self.images) * f64::from(self.plane)
    }

    /// A block for every 4,096 values of a channel, of at most 64.
    fn blocks(&self) -> (u32, u32) {
        (
            self.channels,
            (self.images * self.plane).div_ceil(4096).clamp(1, 64),
        )
    }

    fn partials(&self, card: &Card) -> Result<CudaSlice<f64>> {
        let (channels, pieces) = self.blocks();
        card.room(2 * channels as usize * pieces as usize)
    }
}

/// What the blocks leave of the channels' values, or of their distances from the first: sums, and sums of squares.
fn partial_sums<T: CardFloat>(
    card: &Card,
    values: &CudaView<'_, T>,
    sizes: Images,
    shifted: bool,
) -> Result<CudaSlice<f64>> {
    let Images {
        images,
        channels,
        plane,
        ..
    } = sizes;
    let (values, blocks, shifted) = (values.slice(..), sizes.blocks(), u32::from(shifted));
    let mut partials = sizes.partials(card)?;
    // SAFETY: the values are those of all images; each block leaves two sums.
    unsafe {
        launch!(card, card.kernel::<T>("channel_sums")?, blocks,
            [values, images, channels, plane, shifted] => [partials])?;
    }
    Ok(partials)
}

/// The sum of each channel over all images.
pub(super) fn channel_sums<T: CardFloat>(
    card: &Card,
    values: &CudaView<'_, T>,
    sizes: Images,
) -> Result<CudaSlice<T>> {
    let partials = partial_sums(card, values, sizes, false)?;
    let (channels, pieces) = sizes.blocks();
    let mut sums = card.room::<T>(channels as usize)?;
    // SAFETY: each piece of a channel has left two sums.
    unsafe {
        launch!(card, card.kernel::<T>("channel_totals")?, grid(channels),
            [partials, pieces, channels] => [sums])?;
    }
    Ok(sums)
}

/// The mean and the biased variance of each channel: all means, then all variances.
fn moments<T: CardFloat>(
    card: &Card,
    values: &CudaView<'_, T>,
    sizes: Images,
) -> Result<CudaSlice<f64>> {
    let partials = partial_sums(card, values, sizes, true)?;
    let ((channels, pieces), plane, count) = (sizes.blocks(), sizes.plane, sizes.of_channel());
    let values = values.slice(..);
    let mut moments = card.room::<f64>(2 * channels as usize)?;
    // SAFETY: as above; there are two moments for each channel.
    unsafe {
        launch!(card, card.kernel::<T>("channel_moments")?, grid(channels),
            [values, partials, pieces, channels, plane, count] => [moments])?;
    }
    Ok(moments)
}

/// What a normalisation's backward pass gives.
struct NormalizationGradients<T> {
    values: CudaSlice<T>,
    weight: CudaSlice<T>,
    bias: CudaSlice<T>,
    /// The shortcut's: the gradient behind ReLU.
    shortcut: Option<CudaSlice<T>>,
}

impl Normalization {
    /// `y = relu(x scale + shift + shortcut)`.
    fn apply_on_card<T: CardFloat>(
        &self,
        card: &Card,
        sizes: Images,
        values: CudaView<'_, T>,
        [weight, bias]: [CudaView<'_, T>; 2],
        shortcut: Option<CudaView<'_, T>>,
    ) -> Result<CudaSlice<T>> {
        let Images {
            channels,
            plane,
            count,
            ..
        } = sizes;
        let statistics = match &self.running {
            Some(running) => card.upload(&[&running.mean[..], &running.var].concat())?,
            None => moments(card, &values, sizes)?,
        };
        let (moments, eps, relu) = (statistics.as_view(), self.eps, u32::from(self.relu));
        let mut scales = card.room::<T::Real>(2 * channels as usize)?;
        let mut output = card.room::<T>(values.len())?;
        // SAFETY: two moments and scales, a weight and a bias for each channel; the other vectors have `count`
        // elements.
        unsafe {
            launch!(card, card.kernel::<T>("channel_scales")?, grid(channels),
                [moments, weight, bias, eps, channels] => [scales])?;
            let kernel = card.kernel::<T>("normalize")?;
            match shortcut {
                Some(shortcut) => launch!(card, kernel, grid(count),
                    [values, scales, shortcut, count, channels, plane, relu] => [output])?,
                None => launch!(card, kernel, grid(count),
                    [values, scales, NOTHING, count, channels, plane, relu] => [output])?,
            }
        }
        let statistics = Storage::Cuda(card.store(statistics));
        let shape = (2, channels as usize);
        self.used_on_card
            .get_or_init(|| Tensor::from_storage(statistics, shape, BackpropOp::none(), false));
        Ok(output)
    }

    fn gradients_on_card<T: CardFloat>(
        &self,
        card: &Card,
        sizes: Images,
        values: CudaView<'_, T>,
        weight: CudaView<'_, T>,
        [output, gradient]: [CudaView<'_, T>; 2],
        with_shortcut: bool,
    ) -> Result<NormalizationGradients<T>> {
        let Images {
            images,
            channels,
            plane,
            count,
        } = sizes;
        let Some(used) = self.used_on_card.get() else {
            bail!("batch norm: the forward pass comes first")
        };
        let (used, layout) = used.storage_and_layout();
        let Storage::Cuda(used) = &*used else {
            bail!("batch norm: the forward pass was on another device")
        };
        let moments = Values {
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
        let mut partials = sizes.partials(card)?;
        let mut coefficients = card.room::<T::Real>(4 * channels as usize)?;
        let [mut weights, mut biases] = [
            card.room::<T>(channels as usize)?,
            card.room::<T>(channels as usize)?,
        ];
        let mut result = card.room::<T>(values.len())?;
        let mut shortcut = with_shortcut
            .then(|| card.room::<T>(values.len()))
            .transpose()?;
        // SAFETY: as in the forward pass; each block leaves two sums, and there are four coefficients for a channel.
        unsafe {
            let kernel = card.kernel::<T>("normalize_sums")?;
            match shortcut.as_mut().map(CudaSlice::as_view_mut) {
                Some(mut masked) => launch!(card, kernel, blocks,
                    [values, output, gradient, moments, images, channels, plane, relu] => [masked, partials])?,
                None => launch!(card, kernel, blocks,
                    [values, output, gradient, moments, images, channels, plane, relu, NOTHING] => [partials])?,
            }
            launch!(card, card.kernel::<T>("channel_gradients")?, grid(channels),
                [partials, moments, weight, pieces, channels, of_channel, eps, own]
                => [coefficients, weights, biases])?;
            launch!(card, card.kernel::<T>("normalize_gradient")?, grid(count),
                [values, output, gradient, coefficients, count, channels, plane, relu] => [result])?;
        }
        Ok(NormalizationGradients {
            values: result,
            weight: weights,
            bias: biases,
            shortcut,
        })
    }
}

/// No vector: kernels test for it.
const NOTHING: u64 = 0;

impl BatchNorm {
    fn sizes(&self, elements: usize, weight: usize) -> Result<Images> {
        Images::new(elements, weight, self.plane)
    }
}

impl OnCard<3> for BatchNorm {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight, bias]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        let sizes = self.sizes(input.len(), weight.len())?;
        let output = self
            .normalization
            .apply_on_card(card, sizes, input, [weight, bias], None)?;
        Ok(card.store(output))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight, _bias]: [CudaView<'_, T>; 3],
        output: Values<'_>,
        gradient: Values<'_>,
        _needed: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let sizes = self.sizes(input.len(), weight.len())?;
        let behind = [output.view()?, gradient.view()?];
        let gradients = self
            .normalization
            .gradients_on_card(card, sizes, input, weight, behind, false)?;
        Ok([
            Some(gradients.values),
            Some(gradients.weight),
            Some(gradients.bias),
        ])
    }
}

impl ConvolveNormalize {
    fn sizes(&self) -> Result<Images> {
        let geometry = &self.geometry;
        Images::new(
            geometry.batch * geometry.out_size(),
            geometry.out_channels,
            geometry.out_plane(),
        )
    }

    /// The convolution's weight, the normalisation's weight, its bias.
    fn split_on_card<'a, T>(&self, parameters: &CudaView<'a, T>) -> [CudaView<'a, T>; 3] {
        let (kernel, rest) = parameters.split_at(self.geometry.weight_size());
        let (weight, bias) = rest.split_at(self.geometry.out_channels);
        [kernel, weight, bias]
    }

    fn values_on_card<T: CardFloat>(
        &self,
        card: &Card,
        input: CudaView<'_, T>,
        parameters: &CudaView<'_, T>,
        shortcut: Option<CudaView<'_, T>>,
    ) -> Result<CudaStorage> {
        let [kernel, weight, bias] = self.split_on_card(parameters);
        let convolved = self.geometry.convolve_on_card(card, &input, &kernel)?;
        let values = convolved.as_view();
        let output = self.normalization.apply_on_card(
            card,
            self.sizes()?,
            values,
            [weight, bias],
            shortcut,
        )?;
        self.convolved
            .get_or_init(|| Storage::Cuda(card.store(convolved)));
        Ok(card.store(output))
    }

    /// The gradients with respect to input, parameters and shortcut.
    fn gradients_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, parameters]: [CudaView<'_, T>; 2],
        [output, gradient]: [Values<'_>; 2],
        input_needed: bool,
        with_shortcut: bool,
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let [kernel, weight, _] = self.split_on_card(&parameters);
        let Some(Storage::Cuda(convolved)) = self.convolved.get() else {
            bail!("the forward pass comes first")
        };
        let convolved = convolved.as_cuda_slice::<T>()?.as_view();
        let behind = [output.view()?, gradient.view()?];
        let sizes = self.sizes()?;
        let normalization = &self.normalization;
        let gradients = normalization.gradients_on_card(
            card,
            sizes,
            convolved,
            weight,
            behind,
            with_shortcut,
        )?;
        let values = gradients.values.as_view();
        let needed = [input_needed, true];
        let [input_gradient, kernel_gradient] =
            self.geometry
                .gradients_on_card(card, [input, kernel], &values, needed)?;
        let mut all = card.room::<T>(parameters.len())?;
        let mut start = 0;
        for part in kernel_gradient
            .iter()
            .chain([&gradients.weight, &gradients.bias])
        {
            let end = start + part.len();
            card.device
                .memcpy_dtod(part, &mut all.slice_mut(start..end))?;
            start = end;
        }
        Ok([input_gradient, Some(all), gradients.shortcut])
    }
}

impl OnCard<2> for ConvolveNormalize {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, parameters]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        self.values_on_card(card, input, &parameters, None)
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        inputs: [CudaView<'_, T>; 2],
        output: Values<'_>,
        gradient: Values<'_>,
        [input_needed, _]: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        let [input, parameters, _] =
            self.gradients_on_card(card, inputs, [output, gradient], input_needed, false)?;
        Ok([input, parameters])
    }
}

impl OnCard<3> for ConvolveNormalize {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, parameters, shortcut]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        self.values_on_card(card, input, &parameters, Some(shortcut))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, parameters, _shortcut]: [CudaView<'_, T>; 3],
        output: Values<'_>,
        gradient: Values<'_>,
        [input_needed, ..]: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        self.gradients_on_card(
            card,
            [input, parameters],
            [output, gradient],
            input_needed,
            true,
        )
    }
}
