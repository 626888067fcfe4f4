//! The multilayer perceptron.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::layer::{Activation, Linear, LinearConfig};
use crate::{Error, Model, Pass, Result, Scope, Tensors};

/// The settings of an [`Mlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Features of an example, such as the pixels of an image in all its channels.
    pub inputs: usize,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Classes.
    pub classes: usize,
    /// What follows each hidden layer.
    pub activation: Activation,
}

impl Default for MlpConfig {
    /// The network of the published FUSE experiments on MNIST: 784, 64, 32, 10 with ReLU.
    fn default() -> Self {
        Self {
            inputs: 784,
            hidden: vec![64, 32],
            classes: 10,
            activation: Activation::Relu,
        }
    }
}

impl MlpConfig {
    /// Its parameters.
    pub(crate) fn parameter_count(&self) -> f64 {
        let outputs = self.hidden.iter().chain([&self.classes]);
        let inputs = [&self.inputs].into_iter().chain(&self.hidden);
        inputs
            .zip(outputs)
            .map(|(&inputs, &outputs)| (inputs as f64 + 1.0) * outputs as f64)
            .sum()
    }

    /// Creates the model, whose parameters are `fc1.weight`, `fc1.bias`, `fc2.weight` and so on.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn build(&self, scope: &Scope) -> Result<Mlp> {
        if self.hidden.contains(&0) {
            return Err(Error::setting("hidden", 0, "at least 1 unit in each layer"));
        }
        if self.classes == 0 {
            return Err(Error::setting("classes", 0, "at least 1"));
        }
        let mut inputs = self.inputs;
        let mut layers = Vec::with_capacity(self.hidden.len() + 1);
        for (index, &outputs) in self.hidden.iter().chain([&self.classes]).enumerate() {
            let scope = scope.child(format!("fc{}", index + 1));
            layers.push(LinearConfig::new(inputs, outputs).build(&scope)?);
            inputs = outputs;
        }
        Ok(Mlp {
            layers,
            activation: self.activation,
            tensors: scope.clone().into_tensors(),
        })
    }
}

/// Affine maps with an activation between them.
#[derive(Debug, Clone)]
pub struct Mlp {
    layers: Vec<Linear>,
    activation: Activation,
    tensors: Tensors,
}

impl Model for Mlp {
    fn forward(&self, input: &Tensor, _pass: Pass) -> candle_core::Result<Tensor> {
        let input = input.flatten_from(1)?;
        let (first, rest) = match self.layers.split_first() {
            Some(layers) => layers,
            None => return Ok(input),
        };
        let mut output = first.forward(&input)?;
        for layer in rest {
            output = layer.forward_activated(self.activation, &output)?;
        }
        Ok(output)
    }

    fn tensors(&self) -> &Tensors {
        &self.tensors
    }
}
