//! Two-dimensional convolution with stride, padding, dilation and groups.

use candle_core::{Shape, Tensor, Var};

use super::{Pool2d, trace};
use crate::kernels::{self, Apply, Convolve, ConvolvePool, Geometry};
use crate::options::Activation;
use crate::precision::upcast;
use crate::{Error, Init, Result, Scope};

/// The settings of a [`Conv2d`]; kernels are square and all settings hold for both axes.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use models::layer::Conv2dConfig;
/// use models::Scope;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scope = Scope::new(0, DType::F32, &Device::Cpu);
/// let config = Conv2dConfig { stride: 2, padding: 1, ..Conv2dConfig::new(3, 16, 3) };
/// let conv = config.build(&scope.child("conv1"))?;
/// let images = Tensor::zeros((8, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(conv.forward(&images)?.dims(), [8, 16, 16, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Pixels between the positions of the kernel.
    pub stride: usize,
    /// Zeros added on each side of the image.
    pub padding: usize,
    /// Pixels between the kernel's taps.
    pub dilation: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Whether a bias is added to each output channel.
    pub bias: bool,
    /// The weight's first values. By default, and for the bias always, PyTorch's rule:
    /// [`Init::fan_in_uniform`].
    pub init: Option<Init>,
}

impl Conv2dConfig {
    /// A convolution with stride 1, no padding, no dilation, one group and a bias, initialised as
    /// PyTorch does.
    pub fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel,
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
            bias: true,
            init: None,
        }
    }

    /// Creates the layer with the parameters `weight`, of shape
    /// `[out_channels, in_channels / groups, kernel, kernel]`, and `bias`.
    ///
    /// # Errors
    /// When a setting is zero that may not be, or the groups do not divide the channels.
    pub fn build(&self, scope: &Scope) -> Result<Conv2d> {
        for (name, value) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("kernel", self.kernel),
            ("stride", self.stride),
            ("dilation", self.dilation),
            ("groups", self.groups),
        ] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        for channels in [self.in_channels, self.out_channels] {
            if !channels.is_multiple_of(self.groups) {
                let expected = format!("a divisor of {channels} channels");
                return Err(Error::setting("groups", self.groups, expected));
            }
        }
        let inputs = self.in_channels / self.groups;
        let shape = (self.out_channels, inputs, self.kernel, self.kernel);
        let default = Init::fan_in_uniform(inputs * self.kernel * self.kernel);
        let weight = scope.parameter("weight", shape, self.init.unwrap_or(default))?;
        let bias = if self.bias {
            Some(scope.parameter("bias", self.out_channels, default)?)
        } else {
            None
        };
        Ok(Conv2d {
            config: *self,
            weight,
            bias,
        })
    }
}

/// A convolution (cross-correlation, as everywhere in deep learning) over the last two axes of
/// `[batch, channels, height, width]`.
#[derive(Debug, Clone)]
pub struct Conv2d {
    config: Conv2dConfig,
    weight: Var,
    bias: Option<Var>,
}

impl Conv2d {
    /// The settings.
    pub fn config(&self) -> &Conv2dConfig {
        &self.config
    }

    /// The convolution of `input`, of shape `[batch, out_channels, height', width']` with
    /// `height' = (height + 2 padding - dilation (kernel - 1) - 1) / stride + 1`.
    ///
    /// # Errors
    /// When the input has another number of channels or is smaller than the kernel.
    pub fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let geometry = self.geometry(input.shape())?;
        let output = if kernels::convolution_supported(input) {
            let convolve = Convolve(geometry);
            match &self.bias {
                Some(bias) => convolve.apply([input, &self.weight, bias])?,
                None => convolve.apply([input, &self.weight])?,
            }
        } else {
            self.fallback(input)?
        };
        self.record(&output);
        Ok(output)
    }

    /// `relu(pool(conv(input)))`. Where `pool` takes maxima and the convolution has a bias, one
    /// kernel does all of it, and the convolved images are never written to memory.
    ///
    /// # Errors
    /// As [`Conv2d::forward`] and [`Pool2d::forward`].
    pub fn forward_pool_relu(&self, input: &Tensor, pool: &Pool2d) -> candle_core::Result<Tensor> {
        if kernels::supported_on_cpu(input)
            && !trace::is_active()
            && let Some(bias) = &self.bias
        {
            let geometry = self.geometry(input.shape())?;
            let windows = pool.max_windows(geometry.out_height(), geometry.out_width())?;
            if let Some([rows, columns]) = windows {
                let kernel = ConvolvePool::new(geometry, rows, columns);
                return kernel.apply([input, &self.weight, bias]);
            }
        }
        // The same as ReLU before the maximum, with fewer pixels to rectify.
        Activation::Relu.forward(&pool.forward(&self.forward(input)?)?)
    }

    /// Notes the layer's output for a summary.
    pub(crate) fn record(&self, output: &Tensor) {
        let parameters = [&self.weight].into_iter().chain(&self.bias);
        let per_element = self.weight.elem_count() / self.config.out_channels;
        let parameters = parameters.map(Var::as_tensor);
        trace::record("Conv2d", parameters, output, per_element);
    }

    /// The weight, of shape `[out_channels, in_channels / groups, kernel, kernel]`.
    pub(crate) fn weight(&self) -> &Var {
        &self.weight
    }

    /// The sizes of the convolution of `input`; refuses an input that does not fit.
    pub(crate) fn geometry(&self, input: &Shape) -> candle_core::Result<Geometry> {
        let config = &self.config;
        let (batch, in_channels, height, width) = input.dims4()?;
        if in_channels != config.in_channels {
            candle_core::bail!(
                "conv2d: the input has {in_channels} channels: expected {}",
                config.in_channels
            );
        }
        let geometry = Geometry {
            batch,
            in_channels,
            out_channels: config.out_channels,
            height,
            width,
            kernel: config.kernel,
            stride: config.stride,
            padding: config.padding,
            dilation: config.dilation,
            groups: config.groups,
        };
        let smallest = height.min(width);
        if batch == 0 || smallest == 0 || smallest + 2 * config.padding < geometry.span() {
            candle_core::bail!(
                "conv2d: the input {:?} with padding {} is smaller than the kernel's {} pixels",
                input.dims(),
                config.padding,
                geometry.span()
            );
        }
        Ok(geometry)
    }

    /// The convolution by tensor operations. Where the stride leaves pixels over at an end of the
    /// image, Candle's backward pass is wrong, so they are cut off first.
    fn fallback(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let Conv2dConfig {
            stride,
            padding,
            dilation,
            groups,
            ..
        } = self.config;
        let span = self.geometry(input.shape())?.span();
        let mut input = input.clone();
        for axis in [2, 3] {
            let padded = input.dim(axis)? + 2 * padding;
            input = input.pad_with_zeros(axis, padding, padding)?.narrow(
                axis,
                0,
                padded - (padded - span) % stride,
            )?;
        }
        let convolve =
            |input: &Tensor, weight: &Tensor| input.conv2d(weight, 0, stride, dilation, groups);
        let dtype = input.dtype();
        // Candle's CPU convolution does not take half precision.
        let output = if input.device().is_cpu() {
            convolve(&upcast(&input)?, &upcast(&self.weight)?)?
        } else {
            convolve(&input, &self.weight)?
        };
        let output = match &self.bias {
            Some(bias) => {
                let bias = upcast(bias)?.reshape((1, (), 1, 1))?;
                upcast(&output)?.broadcast_add(&bias)?
            }
            None => output,
        };
        output.to_dtype(dtype)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_close, assert_same_paths, scope, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        for (kernel, stride, padding, dilation, groups, bias) in [
            (3, 1, 1, 1, 1, true),
            (3, 2, 1, 1, 1, false),
            (5, 1, 0, 1, 3, true),
            (3, 3, 2, 2, 1, true),
            (1, 2, 0, 1, 1, false),
        ] {
            let config = Conv2dConfig {
                stride,
                padding,
                dilation,
                groups,
                bias,
                ..Conv2dConfig::new(3, 15, kernel)
            };
            let scope = scope();
            let conv = config.build(&scope).unwrap();
            let input = Var::from_tensor(&values(&[5, 3, 11, 14])).unwrap();
            assert_same_paths(
                &scope.into_tensors(),
                &input,
                || conv.forward(&input),
                || conv.fallback(&input),
            );
        }
    }

    #[test]
    fn tiles_agree_with_tensor_operations() {
        for (inputs, outputs, padding, height, width) in [
            (8, 16, 1, 8, 8),
            (16, 8, 0, 7, 12),
            (9, 24, 2, 12, 9),
            (20, 33, 1, 32, 16),
            // One task for all images.
            (128, 128, 1, 2, 2),
            (112, 150, 0, 8, 6),
        ] {
            let config = Conv2dConfig {
                padding,
                ..Conv2dConfig::new(inputs, outputs, 3)
            };
            let scope = scope();
            let conv = config.build(&scope).unwrap();
            let input = Var::from_tensor(&values(&[19, inputs, height, width])).unwrap();
            assert_same_paths(
                &scope.into_tensors(),
                &input,
                || conv.forward(&input),
                || conv.fallback(&input),
            );
        }
    }

    #[test]
    fn pooled_convolutions_agree_with_their_parts() {
        for (kernel, padding, groups, bias, pool) in [
            (5, 0, 1, true, Pool2d::max(2, 2, 0)),
            (3, 1, 3, true, Pool2d::max(3, 2, 1)),
            (3, 1, 1, true, Pool2d::adaptive_max(3)),
            (3, 1, 1, false, Pool2d::max(2, 2, 0)),
            (3, 1, 1, true, Pool2d::average(2, 2, 0)),
        ] {
            let config = Conv2dConfig {
                padding,
                groups,
                bias,
                ..Conv2dConfig::new(3, 15, kernel)
            };
            let (scope, pool) = (scope(), pool.unwrap());
            let conv = config.build(&scope).unwrap();
            let input = Var::from_tensor(&values(&[37, 3, 11, 14])).unwrap();
            let parts = || pool.forward(&conv.fallback(&input)?)?.relu();
            assert_same_paths(
                &scope.into_tensors(),
                &input,
                || conv.forward_pool_relu(&input, &pool),
                parts,
            );
        }
    }

    #[test]
    fn a_second_backward_pass_gives_the_same_gradients() {
        let scope = scope();
        let conv = Conv2dConfig::new(2, 4, 3).build(&scope).unwrap();
        let pool = Pool2d::max(2, 2, 0).unwrap();
        let input = values(&[3, 2, 8, 8]);
        let loss = conv.forward_pool_relu(&input, &pool).unwrap();
        let loss = loss.sqr().unwrap().sum_all().unwrap();
        let [first, second] = [(); 2].map(|()| loss.backward().unwrap());
        for (name, var) in &scope.into_tensors().parameters {
            let (first, second) = (first.get(var).unwrap(), second.get(var).unwrap());
            assert_close(name, first, second);
        }
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let conv = Conv2dConfig::new(3, 4, 5).build(&scope()).unwrap();
        for shape in [[1, 2, 8, 8], [1, 3, 4, 8], [0, 3, 8, 8]] {
            let [images, rest @ ..] = shape;
            // Candle makes no empty tensor, but a part of a tensor may be empty.
            let input = values(&[1, rest[0], rest[1], rest[2]]).narrow(0, 0, images);
            assert!(conv.forward(&input.unwrap()).is_err(), "{shape:?}");
        }
        let config = Conv2dConfig {
            groups: 2,
            ..Conv2dConfig::new(3, 4, 5)
        };
        assert!(config.build(&scope()).is_err());
    }
}
