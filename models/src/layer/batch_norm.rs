//! Batch normalisation (Ioffe and Szegedy 2015) over the channels of images.

use candle_core::{DType, Shape, Tensor, Var};

use super::trace;
use crate::kernels::{self, Apply, BatchNormalize, Moments, Normalization};
use crate::precision::upcast;
use crate::{Error, Init, Pass, Result, Scope};

/// The settings of a [`BatchNorm2d`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm2dConfig {
    /// Channels of the input.
    pub channels: usize,
    /// Added to the variance under the square root.
    pub eps: f64,
    /// The weight of the current batch in the running statistics.
    pub momentum: f64,
}

impl BatchNorm2dConfig {
    /// PyTorch's defaults: `eps` 1e-5, `momentum` 0.1.
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            eps: 1e-5,
            momentum: 0.1,
        }
    }

    /// Creates the layer with the parameters `weight` (ones) and `bias` (zeros) and the buffers
    /// `running_mean` (zeros) and `running_var` (ones).
    ///
    /// # Errors
    /// When `channels` is 0, `eps` is negative, or `momentum` is outside `[0, 1]`.
    pub fn build(&self, scope: &Scope) -> Result<BatchNorm2d> {
        if self.channels == 0 {
            return Err(Error::setting("channels", 0, "at least 1"));
        }
        if !(self.eps.is_finite() && self.eps >= 0.0) {
            let expected = "a finite number that is not negative";
            return Err(Error::setting("eps", self.eps, expected));
        }
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::setting("momentum", self.momentum, "0 to 1"));
        }
        let zeros = Init::Constant(0.0);
        let ones = Init::Constant(1.0);
        Ok(BatchNorm2d {
            config: *self,
            weight: scope.parameter("weight", self.channels, ones)?,
            bias: scope.parameter("bias", self.channels, zeros)?,
            running_mean: scope.buffer("running_mean", self.channels, zeros)?,
            running_var: scope.buffer("running_var", self.channels, ones)?,
        })
    }
}

/// `y = weight (x - mean) / sqrt(var + eps) + bias` for each channel of
/// `[batch, channels, height, width]`.
///
/// Training passes normalise by the batch's mean and biased variance, and move the running
/// statistics towards its mean and *unbiased* variance, as PyTorch does; evaluation passes
/// normalise by the running statistics.
#[derive(Debug, Clone)]
pub struct BatchNorm2d {
    config: BatchNorm2dConfig,
    weight: Var,
    bias: Var,
    running_mean: Var,
    running_var: Var,
}

impl BatchNorm2d {
    /// The normalised `input`.
    ///
    /// # Errors
    /// When the input has another number of channels, or a training pass sees one value per
    /// channel, whose variance is not defined.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        self.apply(input, pass, false)
    }

    /// `relu(norm(input))`.
    ///
    /// # Errors
    /// As [`BatchNorm2d::forward`].
    pub fn forward_relu(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        self.apply(input, pass, true)
    }

    fn apply(&self, input: &Tensor, pass: Pass, relu: bool) -> candle_core::Result<Tensor> {
        let (batch, _, height, width) = self.check(input.shape())?;
        self.record(input);
        if !kernels::supported(input) {
            let output = self.fallback(input, pass)?;
            return if relu { output.relu() } else { Ok(output) };
        }
        let normalization = self.normalization(pass, relu)?;
        let kernel = BatchNormalize {
            shape: input.shape().clone(),
            plane: height * width,
            normalization: normalization.clone(),
        };
        let output = kernel.apply([input, &self.weight, &self.bias])?;
        self.update(&normalization, batch * height * width)?;
        Ok(output)
    }

    /// Notes for a summary that the layer had this output.
    pub(crate) fn record(&self, output: &Tensor) {
        let parameters = self.parameters().map(Var::as_tensor);
        trace::record("BatchNorm2d", parameters, output, 0);
    }

    /// The weight and the bias.
    pub(crate) fn parameters(&self) -> [&Var; 2] {
        [&self.weight, &self.bias]
    }

    /// The normalisation that the kernels do in this pass.
    pub(crate) fn normalization(
        &self,
        pass: Pass,
        relu: bool,
    ) -> candle_core::Result<Normalization> {
        let values = |var: &Var| {
            let tensor = var.as_detached_tensor().to_dtype(DType::F64)?;
            tensor.to_vec1::<f64>()
        };
        let running = if pass.is_train() {
            None
        } else {
            Some(Moments {
                mean: values(&self.running_mean)?,
                var: values(&self.running_var)?,
            })
        };
        Ok(Normalization::new(self.config.eps, running, relu))
    }

    /// Moves the running statistics towards those of the batch that a kernel has just normalised.
    pub(crate) fn update(
        &self,
        normalization: &Normalization,
        count: usize,
    ) -> candle_core::Result<()> {
        if normalization.running.is_some() {
            return Ok(());
        }
        let moments = match (normalization.moments.get(), normalization.gpu_moments.get()) {
            (Some(Moments { mean, var }), _) => {
                let moments = [&mean[..], var].concat();
                Tensor::from_vec(moments, (2, mean.len()), self.weight.device())?
            }
            (None, Some(moments)) => moments.clone(),
            (None, None) => return Ok(()),
        };
        let moments = moments.to_dtype(self.running_mean.dtype())?;
        self.move_statistics(&moments.get(0)?, &moments.get(1)?, count)
    }

    /// The sizes of an input of this shape.
    ///
    /// # Errors
    /// When it does not fit the layer.
    pub(crate) fn check(&self, input: &Shape) -> candle_core::Result<(usize, usize, usize, usize)> {
        let dims = input.dims4()?;
        let channels = self.config.channels;
        if dims.1 != channels || input.elem_count() == 0 {
            candle_core::bail!(
                "batch norm: the input has shape {:?}: expected {channels} channels and no empty axis",
                input.dims()
            );
        }
        Ok(dims)
    }

    /// The normalised input by tensor operations.
    pub(crate) fn fallback(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let dtype = input.dtype();
        let input = &upcast(input)?;
        let [weight, bias] = [upcast(&self.weight)?, upcast(&self.bias)?];
        let (mean, var) = if pass.is_train() {
            let (batch, _, height, width) = input.dims4()?;
            let mean = input.mean_keepdim((0, 2, 3))?;
            let centered = input.broadcast_sub(&mean)?;
            let var = centered.sqr()?.mean_keepdim((0, 2, 3))?;
            let count = batch * height * width;
            self.move_statistics(&mean.flatten_all()?, &var.flatten_all()?, count)?;
            (mean, var)
        } else {
            let shape = (1, (), 1, 1);
            (
                self.running_mean.as_detached_tensor().reshape(shape)?,
                self.running_var.as_detached_tensor().reshape(shape)?,
            )
        };
        let deviation = (var + self.config.eps)?.sqrt()?;
        input
            .broadcast_sub(&mean)?
            .broadcast_div(&deviation)?
            .broadcast_mul(&weight.reshape((1, (), 1, 1))?)?
            .broadcast_add(&bias.reshape((1, (), 1, 1))?)?
            .to_dtype(dtype)
    }

    /// Moves the running statistics towards those of a batch with `count` values per channel.
    fn move_statistics(
        &self,
        mean: &Tensor,
        biased_var: &Tensor,
        count: usize,
    ) -> candle_core::Result<()> {
        if count < 2 {
            candle_core::bail!("batch norm: expected more than one value per channel in training");
        }
        let momentum = self.config.momentum;
        let move_towards = |running: &Var, value: Tensor| {
            let kept = (running.as_detached_tensor() * (1.0 - momentum))?;
            running.set(&(kept + (value * momentum)?)?)
        };
        let unbiased = count as f64 / (count as f64 - 1.0);
        move_towards(&self.running_mean, mean.detach())?;
        move_towards(&self.running_var, (biased_var.detach() * unbiased)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_same_paths, device, scope, values};

    const TRAIN: Pass = Pass::Train { seed: 0 };

    #[test]
    fn kernels_agree_with_tensor_operations() {
        // On GPUs, 150 images are summed in two pieces.
        for (pass, images) in [(TRAIN, 5), (TRAIN, 150), (Pass::Eval, 5)] {
            let scope = scope();
            let norm = BatchNorm2dConfig::new(3).build(&scope).unwrap();
            norm.running_mean
                .set(&(values(&[3]) * 0.3).unwrap())
                .unwrap();
            let input = Var::from_tensor(&values(&[images, 3, 7, 4])).unwrap();
            let tensors = scope.into_tensors();
            assert_same_paths(
                &tensors,
                &input,
                || norm.forward(&input, pass),
                || norm.fallback(&input, pass),
            );
            assert_same_paths(
                &tensors,
                &input,
                || norm.forward_relu(&input, pass),
                || norm.fallback(&input, pass)?.relu(),
            );
        }
    }

    #[test]
    fn running_statistics_follow_the_mean_and_the_unbiased_variance() {
        let input = Tensor::new(&[[[[1f64, 2.0]]], [[[3.0, 6.0]]]], &device()).unwrap();
        for fallback in [false, true] {
            let norm = BatchNorm2dConfig::new(1).build(&scope()).unwrap();
            let output = if fallback {
                norm.fallback(&input, TRAIN)
            } else {
                norm.forward(&input, TRAIN)
            };
            output.unwrap();
            // Mean 3; squared deviations 4 + 1 + 0 + 9 = 14, over 4 - 1 values.
            let expected = |value: f64| Tensor::new(&[value], input.device()).unwrap();
            assert_close("mean", &norm.running_mean, &expected(0.1 * 3.0));
            assert_close("var", &norm.running_var, &expected(0.9 + 0.1 * 14.0 / 3.0));
            let before = norm.running_var.copy().unwrap();
            norm.forward(&input, Pass::Eval).unwrap();
            assert_close("var", &norm.running_var, &before);
        }
    }

    /// The sum of so many values in bf16 would stop growing at a few hundred.
    #[test]
    fn statistics_of_half_precision_are_those_of_full() {
        let input = values(&[64, 1, 16, 16]);
        let statistics = |dtype: DType| {
            let scope = Scope::new(11, dtype, &device());
            let norm = BatchNorm2dConfig::new(1).build(&scope).unwrap();
            norm.forward(&input.to_dtype(dtype).unwrap(), TRAIN)
                .unwrap();
            [&norm.running_mean, &norm.running_var].map(|var| {
                let value = var.to_dtype(DType::F64).unwrap().get(0).unwrap();
                value.to_scalar::<f64>().unwrap()
            })
        };
        let (half, full) = (statistics(DType::BF16), statistics(DType::F64));
        for (half, full) in half.iter().zip(full) {
            assert!((half - full).abs() <= 1e-3, "{half} {full}");
        }
    }

    #[test]
    fn one_value_per_channel_has_no_variance() {
        let norm = BatchNorm2dConfig::new(3).build(&scope()).unwrap();
        let input = values(&[1, 3, 1, 1]);
        assert!(norm.forward(&input, TRAIN).is_err());
        assert!(norm.fallback(&input, TRAIN).is_err());
        assert!(norm.forward(&input, Pass::Eval).is_ok());
    }
}
