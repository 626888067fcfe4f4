//! One affine map with an optional sigmoid on its outputs.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{LinearClassifier, LinearClassifierConfig};
use crate::{Model, Pass, Result, Scope, Tensors};

/// The settings of a [`Logistic`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogisticConfig {
    /// Features of an example, such as the pixels of an image in all its channels.
    pub inputs: usize,
    /// Classes.
    pub classes: usize,
    /// Whether the logits pass through a sigmoid, as in the published FUSE experiments.
    /// Cross-entropy of the result cannot fall below ln(1 + (classes - 1) / e): 1.4612 for 10
    /// classes.
    pub sigmoid: bool,
}

impl Default for LogisticConfig {
    /// MNIST: 784 pixels, 10 classes, with the sigmoid.
    fn default() -> Self {
        let LinearClassifierConfig { inputs, classes } = LinearClassifierConfig::default();
        Self {
            inputs,
            classes,
            sigmoid: true,
        }
    }
}

impl LogisticConfig {
    /// Its parameters.
    pub(crate) fn parameter_count(&self) -> f64 {
        (self.inputs as f64 + 1.0) * self.classes as f64
    }

    /// Creates the model, whose parameters are `linear.weight` and `linear.bias`.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn build(&self, scope: &Scope) -> Result<Logistic> {
        let linear = LinearClassifierConfig {
            inputs: self.inputs,
            classes: self.classes,
        };
        Ok(Logistic {
            linear: linear.build(scope)?,
            sigmoid: self.sigmoid,
        })
    }
}

/// Logits `sigmoid(W x + b)`, or `W x + b` without the sigmoid.
#[derive(Debug, Clone)]
pub struct Logistic {
    linear: LinearClassifier,
    sigmoid: bool,
}

impl Model for Logistic {
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let logits = self.linear.forward(input, pass)?;
        if self.sigmoid {
            // sigmoid(x) = (1 + tanh(x / 2)) / 2 does not overflow.
            ((logits * 0.5)?.tanh()? + 1.0)? * 0.5
        } else {
            Ok(logits)
        }
    }

    fn tensors(&self) -> &Tensors {
        self.linear.tensors()
    }
}
