//! A convolution with batch normalisation, the unit that residual networks are built of.

use candle_core::{Shape, Tensor, Var};

use super::{BatchNorm2d, BatchNorm2dConfig, Conv2d, Conv2dConfig};
use crate::kernels::{self, Apply, ConvolveNormalize, Normalized};
use crate::options::Activation;
use crate::{Pass, Result, Scope};

/// A convolution without bias, batch normalisation, and then, as in residual networks, the addition
/// of a shortcut and ReLU.
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
    /// When the input does not fit the convolution, or a training pass sees one value per channel.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        if kernels::convolution_supported(input) {
            return self.fused(input, None, false, pass);
        }
        self.fallback(input, pass)
    }

    /// `relu(norm(conv(input)))`.
    ///
    /// # Errors
    /// As [`ConvNorm::forward`].
    pub fn forward_relu(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        if kernels::convolution_supported(input) {
            return self.fused(input, None, true, pass);
        }
        self.norm.forward_relu(&self.conv.forward(input)?, pass)
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
        if kernels::convolution_supported(input) {
            return self.fused(input, Some(shortcut), true, pass);
        }
        Activation::Relu.forward(&(self.fallback(input, pass)? + shortcut)?)
    }

    /// The kernel for an input of this shape.
    pub(crate) fn kernel(
        &self,
        input: &Shape,
        relu: bool,
        pass: Pass,
    ) -> candle_core::Result<ConvolveNormalize> {
        let geometry = self.conv.geometry(input)?;
        let normalization = self.norm.normalization(pass, relu)?;
        Ok(ConvolveNormalize::new(geometry, normalization))
    }

    /// The convolution's weight, and the normalisation's weight and bias.
    pub(crate) fn parameters(&self) -> [&Var; 3] {
        let [weight, bias] = self.norm.parameters();
        [self.conv.weight(), weight, bias]
    }

    /// Moves the running statistics towards those that the layer's kernel has found.
    pub(crate) fn update(&self, normalized: &Normalized) -> candle_core::Result<()> {
        self.norm
            .update(&normalized.normalization, normalized.count)
    }

    fn fallback(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        self.norm.forward(&self.conv.forward(input)?, pass)
    }

    fn fused(
        &self,
        input: &Tensor,
        shortcut: Option<&Tensor>,
        relu: bool,
        pass: Pass,
    ) -> candle_core::Result<Tensor> {
        let kernel = self.kernel(input.shape(), relu, pass)?;
        let normalized = kernel.normalized();
        let [kernel_weight, weight, bias] = self.parameters();
        let parameters = Tensor::cat(&[&kernel_weight.flatten_all()?, weight, bias], 0)?;
        let output = match shortcut {
            None => kernel.apply([input, &parameters])?,
            Some(shortcut) => {
                let shape = kernel.output_shape();
                if *shortcut.shape() != shape {
                    candle_core::bail!(
                        "shortcut: shape {:?}: expected {shape:?}",
                        shortcut.shape()
                    );
                }
                kernel.apply([input, &parameters, shortcut])?
            }
        };
        self.update(&normalized)?;
        self.conv.record(&output);
        self.norm.record(&output);
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::Var;

    use super::*;
    use crate::testing::{assert_same_paths, scope, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        let config = Conv2dConfig {
            stride: 2,
            padding: 1,
            ..Conv2dConfig::new(3, 7, 3)
        };
        for pass in [Pass::Train { seed: 0 }, Pass::Eval] {
            let scope = scope();
            let layer =
                ConvNorm::build(config, &scope.child("conv1"), &scope.child("bn1")).unwrap();
            let input = Var::from_tensor(&values(&[5, 3, 9, 12])).unwrap();
            let shortcut = values(&[5, 7, 5, 6]);
            let tensors = scope.into_tensors();
            assert_same_paths(
                &tensors,
                &input,
                || layer.forward(&input, pass),
                || layer.fallback(&input, pass),
            );
            assert_same_paths(
                &tensors,
                &input,
                || layer.forward_relu(&input, pass),
                || layer.fallback(&input, pass)?.relu(),
            );
            assert_same_paths(
                &tensors,
                &input,
                || layer.forward_add_relu(&input, &shortcut, pass),
                || (layer.fallback(&input, pass)? + &shortcut)?.relu(),
            );
        }
    }
}
