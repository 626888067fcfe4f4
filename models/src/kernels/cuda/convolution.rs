//! Convolutions with a bias. The convolutions themselves are cuDNN's.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::batch_norm::{Images, channel_sums};
use super::linear::add_bias;
use super::{Card, CardFloat, Convolve, OnCard, Values};

#[cfg(feature = "cudnn")]
pub(crate) use candle_core::cuda::cudarc::cudnn::CudnnDataType as Convolved;

/// An element type that can be convolved: none needs to without cuDNN.
#[cfg(not(feature = "cudnn"))]
pub(crate) trait Convolved {}
#[cfg(not(feature = "cudnn"))]
impl<T> Convolved for T {}

impl OnCard<2> for Convolve {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        Ok(card.store(self.0.convolve_on_card(card, &input, &weight)?))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        inputs: [CudaView<'_, T>; 2],
        _output: Values<'_>,
        gradient: Values<'_>,
        needed: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        self.0
            .gradients_on_card(card, inputs, &gradient.view()?, needed)
    }
}

impl OnCard<3> for Convolve {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight, bias]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        let mut output = self.0.convolve_on_card(card, &input, &weight)?;
        add_bias(card, bias, self.0.out_plane(), &mut output)?;
        Ok(card.store(output))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input, weight, bias]: [CudaView<'_, T>; 3],
        _output: Values<'_>,
        gradient: Values<'_>,
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let gradient = gradient.view()?;
        let needed = [input_needed, weight_needed];
        let [input, weight] = self
            .0
            .gradients_on_card(card, [input, weight], &gradient, needed)?;
        let bias = if bias_needed {
            let sizes = Images::new(gradient.len(), bias.len(), self.0.out_plane())?;
            Some(channel_sums(card, &gradient, sizes)?)
        } else {
            None
        };
        Ok([input, weight, bias])
    }
}

#[cfg(not(feature = "cudnn"))]
impl crate::kernels::Geometry {
    pub(super) fn convolve_on_card<T: CardFloat>(
        &self,
        _: &Card,
        _: &CudaView<'_, T>,
        _: &CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        candle_core::bail!("convolutions on cards need feature `cudnn`")
    }

    pub(super) fn gradients_on_card<T: CardFloat>(
        &self,
        _: &Card,
        _: [CudaView<'_, T>; 2],
        _: &CudaView<'_, T>,
        _: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        candle_core::bail!("convolutions on cards need feature `cudnn`")
    }
}
