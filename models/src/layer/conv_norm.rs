//! A convolution with batch normalisation, the unit that residual networks are built of.

use candle_core::Tensor;

use super::{BatchNorm2d, BatchNorm2dConfig, Conv2d, Conv2dConfig};
use crate::{Pass, Result, Scope};

/// A convolution without bias, batch normalisation, and what residual networks do next: adding the
/// shortcut, ReLU.
#[derive(Debug, Clone)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl ConvNorm {
    /// Creates the convolution in one scope and its normalisation in another, as torchvision names
    /// them side by side (`conv1`, `bn1`). The convolution's bias is left out: the normalisation
    /// would cancel it.
    ///
    /// # Errors
    /// As [`Conv2dConfig::build`].
    pub fn build(config: Conv2dConfig, conv: &Scope, norm: &Scope) -> Result<Self> {
        let config = Conv2dConfig {
            bias: false,
            ..config
        };
        Ok(Self {
            conv: config.build(conv)?,
            norm: BatchNorm2dConfig::new(config.out_channels).build(norm)?,
        })
    }

    /// `norm(conv(input))`.
    ///
    /// # Errors
    /// When the input does not fit the convolution.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        self.norm.forward(&self.conv.forward(input)?, pass)
    }

    /// `relu(norm(conv(input)))`.
    ///
    /// # Errors
    /// As [`ConvNorm::forward`].
    pub fn forward_relu(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        self.forward(input, pass)?.relu()
    }

    /// `relu(norm(conv(input)) + shortcut)`.
    ///
    /// # Errors
    /// As [`ConvNorm::forward`], and when the shortcut's shape is not that of the output.
    pub fn forward_add_relu(
        &self,
        input: &Tensor,
        shortcut: &Tensor,
        pass: Pass,
    ) -> candle_core::Result<Tensor> {
        (self.forward(input, pass)? + shortcut)?.relu()
    }
}
