//! The affine map of the last axis.

use candle_core::{D, Tensor, Var, bail};

use super::trace;
use crate::kernels::{self, Apply};
use crate::loss::CrossEntropy;
use crate::options::{Activation, WeightLayout};
use crate::precision::upcast;
use crate::{Error, Init, Result, Scope};

/// The settings of a [`Linear`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use models::Scope;
/// use models::layer::LinearConfig;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scope = Scope::new(0, DType::F32, &Device::Cpu);
/// let linear = LinearConfig::new(784, 10).build(&scope.child("fc"))?;
/// let images = Tensor::zeros((32, 784), DType::F32, &Device::Cpu)?;
/// assert_eq!(linear.forward(&images)?.dims(), [32, 10]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearConfig {
    /// Elements of the last axis of the input.
    pub inputs: usize,
    /// Elements of the last axis of the output.
    pub outputs: usize,
    /// Whether a bias is added.
    pub bias: bool,
    /// The order of the weight's axes.
    pub layout: WeightLayout,
    /// The weight's first values; the bias then starts at zero. By default, both follow PyTorch's
    /// rule: [`Init::fan_in_uniform`].
    pub init: Option<Init>,
}

impl LinearConfig {
    /// A map with a bias, laid out and initialised as PyTorch does.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            bias: true,
            layout: WeightLayout::OutputInput,
            init: None,
        }
    }

    /// Creates the layer with the parameters `weight` and `bias`.
    ///
    /// # Errors
    /// When a size is 0 or a name is taken.
    pub fn build(&self, scope: &Scope) -> Result<Linear> {
        for (name, value) in [("inputs", self.inputs), ("outputs", self.outputs)] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        let shape = match self.layout {
            WeightLayout::OutputInput => (self.outputs, self.inputs),
            WeightLayout::InputOutput => (self.inputs, self.outputs),
        };
        let default = Init::fan_in_uniform(self.inputs);
        let weight = scope.parameter("weight", shape, self.init.unwrap_or(default))?;
        let bias = if self.bias {
            let init = self.init.map_or(default, |_| Init::Constant(0.0));
            Some(scope.parameter("bias", self.outputs, init)?)
        } else {
            None
        };
        Ok(Linear {
            layout: self.layout,
            weight: weight.as_tensor().clone(),
            bias,
        })
    }
}

/// `y = x W^T + b` over the last axis.
#[derive(Debug, Clone)]
pub struct Linear {
    layout: WeightLayout,
    weight: Tensor,
    bias: Option<Var>,
}

impl Linear {
    /// A map without bias whose weight, `[outputs, inputs]`, belongs to another layer.
    pub fn tied(weight: &Tensor) -> Self {
        Self {
            layout: WeightLayout::OutputInput,
            weight: weight.clone(),
            bias: None,
        }
    }

    /// The map of `input`, whose last axis has as many elements as the layer has inputs.
    ///
    /// # Errors
    /// When the last axis has another size, or the dtypes differ.
    pub fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        self.apply(None, input)
    }

    /// The map of an activation of `input`, in one step: `forward(activation.forward(input))`.
    ///
    /// # Errors
    /// As [`Linear::forward`].
    pub fn forward_activated(
        &self,
        activation: Activation,
        input: &Tensor,
    ) -> candle_core::Result<Tensor> {
        self.apply(Some(activation), input)
    }

    fn apply(&self, activation: Option<Activation>, input: &Tensor) -> candle_core::Result<Tensor> {
        let affine = self.affine(activation, input)?;
        let inputs = affine.inputs;
        let output = if kernels::supported(input) {
            match &self.bias {
                Some(bias) => affine.apply([input, &self.weight, bias])?,
                None => affine.apply([input, &self.weight])?,
            }
        } else {
            let activated = match activation {
                Some(activation) => activation.fallback(input)?,
                None => input.clone(),
            };
            self.fallback(&activated, affine.shape.dims())?
        };
        let bias = self.bias.as_deref();
        trace::record(
            "Linear",
            [&self.weight].into_iter().chain(bias),
            &output,
            inputs,
        );
        Ok(output)
    }

    /// The kernel for this input.
    fn affine(
        &self,
        activation: Option<Activation>,
        input: &Tensor,
    ) -> candle_core::Result<kernels::Affine> {
        let (first, second) = self.weight.dims2()?;
        let (inputs, outputs) = match self.layout {
            WeightLayout::OutputInput => (second, first),
            WeightLayout::InputOutput => (first, second),
        };
        if input.dims().last() != Some(&inputs) {
            bail!(
                "linear: expected {inputs} elements in the last axis, got shape {:?}",
                input.dims()
            );
        }
        let mut shape = input.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        Ok(kernels::Affine {
            rows: input.elem_count() / inputs,
            inputs,
            outputs,
            layout: self.layout,
            activation,
            shape: shape.into(),
        })
    }

    /// The [cross-entropy](CrossEntropy::forward) of the map of `input`, in one step. It holds one
    /// tensor of the outputs' size; the two steps one after the other hold four.
    ///
    /// # Errors
    /// As [`Linear::forward`] and [`CrossEntropy::forward`].
    pub fn cross_entropy(
        &self,
        input: &Tensor,
        loss: &CrossEntropy,
        targets: &Tensor,
    ) -> candle_core::Result<Tensor> {
        if self.bias.is_some() || !kernels::supported(input) {
            return loss.forward(&self.forward(input)?, targets);
        }
        let affine = self.affine(None, input)?;
        let loss = loss.kernel(affine.shape.dims(), targets)?;
        kernels::LinearCrossEntropy::new(affine, loss).apply([input, &self.weight])
    }

    fn fallback(&self, input: &Tensor, shape: &[usize]) -> candle_core::Result<Tensor> {
        let weight = match self.layout {
            WeightLayout::OutputInput => self.weight.t()?,
            WeightLayout::InputOutput => self.weight.clone(),
        };
        let rows = input.reshape(((), input.dim(D::Minus1)?))?;
        let output = rows.matmul(&weight)?;
        let output = match &self.bias {
            Some(bias) => upcast(&output)?
                .broadcast_add(&upcast(bias)?)?
                .to_dtype(output.dtype())?,
            None => output,
        };
        output.reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_same_paths, scope, values};

    #[test]
    fn the_loss_in_one_step_is_that_of_the_outputs() {
        for (bias, smoothing) in [(false, 0.0), (false, 0.3), (true, 0.0)] {
            let config = LinearConfig {
                bias,
                ..LinearConfig::new(6, 9)
            };
            let scope = scope();
            let linear = config.build(&scope).unwrap();
            let input = Var::from_tensor(&values(&[2, 3, 6])).unwrap();
            let targets = Tensor::new(&[[3i64, -1, 8], [0, -1, 7]], input.device()).unwrap();
            let loss = CrossEntropy::default().with_ignore_index(-1);
            let loss = loss.with_label_smoothing(smoothing).unwrap();
            assert_same_paths(
                &scope.into_tensors(),
                &input,
                || linear.cross_entropy(&input, &loss, &targets),
                || loss.forward(&linear.forward(&input)?, &targets),
            );
        }
    }

    #[test]
    fn the_loss_in_one_step_gives_the_same_gradient_twice() {
        let config = LinearConfig {
            bias: false,
            ..LinearConfig::new(6, 9)
        };
        let linear = config.build(&scope()).unwrap();
        let input = Var::from_tensor(&values(&[3, 6])).unwrap();
        let targets = Tensor::new(&[3u32, 0, 8], input.device()).unwrap();
        let loss = linear.cross_entropy(&input, &CrossEntropy::default(), &targets);
        let loss = loss.unwrap();
        let gradient = || -> Vec<Vec<f64>> {
            let gradients = loss.backward().unwrap();
            gradients.get(&input).unwrap().to_vec2().unwrap()
        };
        assert_eq!(gradient(), gradient());
    }

    #[test]
    fn kernels_agree_with_tensor_operations() {
        for layout in [WeightLayout::OutputInput, WeightLayout::InputOutput] {
            for (bias, activation) in [(true, None), (false, Some(Activation::Gelu))] {
                let config = LinearConfig {
                    bias,
                    layout,
                    ..LinearConfig::new(6, 9)
                };
                let scope = scope();
                let linear = config.build(&scope).unwrap();
                let input = Var::from_tensor(&values(&[2, 50, 6])).unwrap();
                assert_same_paths(
                    &scope.into_tensors(),
                    &input,
                    || linear.apply(activation, &input),
                    || match activation {
                        Some(activation) => {
                            linear.fallback(&activation.fallback(&input)?, &[2, 50, 9])
                        }
                        None => linear.fallback(&input, &[2, 50, 9]),
                    },
                );
            }
        }
    }
}
