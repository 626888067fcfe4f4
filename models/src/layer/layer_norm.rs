//! Layer normalisation (Ba et al. 2016) over the last axis.

use candle_core::{D, Tensor, Var, bail};

use super::trace;
use crate::kernels::{self, Apply};
use crate::precision::upcast;
use crate::{Error, Init, Result, Scope};

/// The settings of a [`LayerNorm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNormConfig {
    /// Elements of the last axis.
    pub width: usize,
    /// Added to the variance under the square root.
    pub eps: f64,
}

impl LayerNormConfig {
    /// PyTorch's default: `eps` 1e-5.
    pub fn new(width: usize) -> Self {
        Self { width, eps: 1e-5 }
    }

    /// Creates the layer with the parameters `weight` (ones) and `bias` (zeros).
    ///
    /// # Errors
    /// When `width` is 0 or `eps` is negative.
    pub fn build(&self, scope: &Scope) -> Result<LayerNorm> {
        if self.width == 0 {
            return Err(Error::setting("width", 0, "at least 1"));
        }
        if !(self.eps.is_finite() && self.eps >= 0.0) {
            let expected = "a finite number that is not negative";
            return Err(Error::setting("eps", self.eps, expected));
        }
        Ok(LayerNorm {
            config: *self,
            weight: scope.parameter("weight", self.width, Init::Constant(1.0))?,
            bias: scope.parameter("bias", self.width, Init::Constant(0.0))?,
        })
    }
}

/// `y = weight (x - mean) / sqrt(var + eps) + bias`, with the mean and the biased variance of the
/// last axis.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    config: LayerNormConfig,
    weight: Var,
    bias: Var,
}

impl LayerNorm {
    /// What is added to the variance under the square root.
    pub(crate) fn eps(&self) -> f64 {
        self.config.eps
    }

    /// The normalised input.
    ///
    /// # Errors
    /// When the last axis has another size, or the dtypes differ.
    pub fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let LayerNormConfig { width, eps } = self.config;
        if input.dims().last() != Some(&width) {
            bail!(
                "layer norm: expected {width} elements in the last axis, got shape {:?}",
                input.dims()
            );
        }
        let parameters = [&self.weight, &self.bias].map(Var::as_tensor);
        trace::record("LayerNorm", parameters, input, 0);
        if kernels::supported(input) {
            let shape = input.shape().clone();
            let normalize = kernels::LayerNormalize { width, eps, shape };
            return normalize.apply([input, &self.weight, &self.bias]);
        }
        self.fallback(input)
    }

    fn fallback(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let wide = upcast(input)?;
        let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        centred
            .broadcast_div(&(variance + self.config.eps)?.sqrt()?)?
            .broadcast_mul(&upcast(&self.weight)?)?
            .broadcast_add(&upcast(&self.bias)?)?
            .to_dtype(input.dtype())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_same_paths, scope, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        for (rows, width) in [(3, 7), (70, 300)] {
            let scope = scope();
            let norm = LayerNormConfig::new(width).build(&scope).unwrap();
            norm.weight.set(&values(&[width])).unwrap();
            let input = Var::from_tensor(&values(&[rows, 4, width])).unwrap();
            assert_same_paths(
                &scope.into_tensors(),
                &input,
                || norm.forward(&input),
                || norm.fallback(&input),
            );
        }
    }
}
