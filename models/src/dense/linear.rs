//! One affine map from features to logits.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::layer::{Linear, LinearConfig};
use crate::{Error, Model, Pass, Result, Scope, Tensors};

/// The settings of a [`LinearClassifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinearClassifierConfig {
    /// Features of an example, such as the pixels of an image in all its channels.
    pub inputs: usize,
    /// Classes.
    pub classes: usize,
}

impl Default for LinearClassifierConfig {
    /// MNIST: 784 pixels, 10 classes.
    fn default() -> Self {
        Self {
            inputs: 784,
            classes: 10,
        }
    }
}

impl LinearClassifierConfig {
    /// Its parameters. Sizes are in f64, which no product overflows.
    pub(crate) fn parameter_count(&self) -> f64 {
        (self.inputs as f64 + 1.0) * self.classes as f64
    }

    /// Creates the model, whose parameters are `linear.weight` and `linear.bias`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn build(&self, scope: &Scope) -> Result<LinearClassifier> {
        if self.classes == 0 {
            return Err(Error::setting("classes", 0, "at least 1"));
        }
        let linear = LinearConfig::new(self.inputs, self.classes).build(&scope.child("linear"))?;
        Ok(LinearClassifier {
            linear,
            tensors: scope.clone().into_tensors(),
        })
    }
}

/// Multinomial logistic regression, once cross-entropy is the loss: logits `W x + b`.
#[derive(Debug, Clone)]
pub struct LinearClassifier {
    linear: Linear,
    tensors: Tensors,
}

impl Model for LinearClassifier {
    fn forward(&self, input: &Tensor, _pass: Pass) -> candle_core::Result<Tensor> {
        self.linear.forward(&input.flatten_from(1)?)
    }

    fn tensors(&self) -> &Tensors {
        &self.tensors
    }
}
