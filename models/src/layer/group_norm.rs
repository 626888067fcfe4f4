//! Group normalisation (Wu and He 2018), which needs no batch statistics.

use candle_core::{D, Tensor, Var};

use super::trace;
use crate::kernels::{self, Apply, GroupNormalize};
use crate::precision::upcast;
use crate::{Error, Init, Result, Scope};

/// The settings of a [`GroupNorm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupNormConfig {
    /// Groups of neighbouring channels that share mean and variance.
    pub groups: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Added to the variance under the square root.
    pub eps: f64,
}

impl GroupNormConfig {
    /// PyTorch's default: `eps` 1e-5.
    pub fn new(groups: usize, channels: usize) -> Self {
        Self {
            groups,
            channels,
            eps: 1e-5,
        }
    }

    /// Creates the layer with the parameters `weight` (ones) and `bias` (zeros).
    ///
    /// # Errors
    /// When `channels` is 0, `groups` does not divide it, or `eps` is negative.
    pub fn build(&self, scope: &Scope) -> Result<GroupNorm> {
        if self.channels == 0 {
            return Err(Error::setting("channels", 0, "at least 1"));
        }
        if self.groups == 0 || !self.channels.is_multiple_of(self.groups) {
            let expected = format!("a divisor of {} channels", self.channels);
            return Err(Error::setting("groups", self.groups, expected));
        }
        if !(self.eps.is_finite() && self.eps >= 0.0) {
            let expected = "a finite number that is not negative";
            return Err(Error::setting("eps", self.eps, expected));
        }
        Ok(GroupNorm {
            config: *self,
            weight: scope.parameter("weight", self.channels, Init::Constant(1.0))?,
            bias: scope.parameter("bias", self.channels, Init::Constant(0.0))?,
        })
    }
}

/// `y = weight (x - mean) / sqrt(var + eps) + bias` for `[batch, channels, height, width]`, with
/// the mean and biased variance over a group of channels of one image, and weight and bias per
/// channel.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    config: GroupNormConfig,
    weight: Var,
    bias: Var,
}

impl GroupNorm {
    /// The normalised `input`.
    ///
    /// # Errors
    /// When the input has another number of channels or an empty axis.
    pub fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let (_, channels, height, width) = input.dims4()?;
        if channels != self.config.channels || input.elem_count() == 0 {
            candle_core::bail!(
                "group norm: the input has shape {:?}: expected {} channels and no empty axis",
                input.dims(),
                self.config.channels
            );
        }
        let parameters = [&self.weight, &self.bias].map(Var::as_tensor);
        trace::record("GroupNorm", parameters, input, 0);
        if !kernels::supported_on_cpu(input) {
            return self.fallback(input);
        }
        let kernel = GroupNormalize {
            shape: input.shape().clone(),
            channels,
            groups: self.config.groups,
            plane: height * width,
            eps: self.config.eps,
        };
        kernel.apply([input, &self.weight, &self.bias])
    }

    /// The normalised input by tensor operations.
    fn fallback(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let wide = upcast(input)?;
        let groups = wide.reshape((input.dim(0)?, self.config.groups, ()))?;
        let centered = groups.broadcast_sub(&groups.mean_keepdim(D::Minus1)?)?;
        let var = centered.sqr()?.mean_keepdim(D::Minus1)?;
        centered
            .broadcast_div(&(var + self.config.eps)?.sqrt()?)?
            .reshape(input.shape())?
            .broadcast_mul(&upcast(&self.weight)?.reshape((1, (), 1, 1))?)?
            .broadcast_add(&upcast(&self.bias)?.reshape((1, (), 1, 1))?)?
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
        let scope = scope();
        let norm = GroupNormConfig::new(2, 6).build(&scope).unwrap();
        norm.weight.set(&values(&[6])).unwrap();
        let input = Var::from_tensor(&values(&[5, 6, 7, 4])).unwrap();
        assert_same_paths(
            &scope.into_tensors(),
            &input,
            || norm.forward(&input),
            || norm.fallback(&input),
        );
    }

    #[test]
    fn groups_divide_the_channels() {
        for groups in [0, 4] {
            assert!(GroupNormConfig::new(groups, 6).build(&scope()).is_err());
        }
    }
}
