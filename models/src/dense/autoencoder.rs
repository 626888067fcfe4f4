//! The deep autoencoder.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Mlp, MlpConfig};
use crate::layer::Activation;
use crate::{Error, Model, Pass, Result, Scope, Tensors};

/// The settings of an [`Autoencoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Features of an example.
    pub inputs: usize,
    /// Units of each hidden layer before the code; after it they come in reverse.
    pub hidden: Vec<usize>,
    /// Numbers in the code.
    pub code: usize,
}

impl AutoencoderConfig {
    /// The widths of all layers, from the inputs to the outputs.
    pub fn widths(&self) -> Vec<usize> {
        let before = [&[self.inputs], self.hidden.as_slice()].concat();
        let after = before.iter().rev().copied();
        let code = [self.code];
        before.iter().copied().chain(code).chain(after).collect()
    }

    /// Creates the network, whose parameters are those of two [`Mlp`]s, `encoder` and `decoder`.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use models::dense::AutoencoderConfig;
    /// use models::{Model, Pass, Scope};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = AutoencoderConfig { inputs: 64, hidden: vec![30, 20], code: 6 };
    /// assert_eq!(config.widths(), [64, 30, 20, 6, 20, 30, 64]);
    /// let network = config.build(&Scope::new(0, DType::F64, &Device::Cpu))?;
    /// let images = Tensor::ones((3, 64), DType::F64, &Device::Cpu)?;
    /// assert_eq!(network.forward(&images, Pass::Eval)?.dims(), [3, 64]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When a size is 0.
    pub fn build(&self, scope: &Scope) -> Result<Autoencoder> {
        if self.code == 0 {
            return Err(Error::setting("code", 0, "at least 1"));
        }
        let part = |inputs, hidden, outputs| MlpConfig {
            inputs,
            hidden,
            classes: outputs,
            activation: Activation::Tanh,
        };
        let reversed = self.hidden.iter().rev().copied().collect();
        let encoder = part(self.inputs, self.hidden.clone(), self.code);
        let decoder = part(self.code, reversed, self.inputs);
        Ok(Autoencoder {
            encoder: encoder.build(&scope.child("encoder"))?,
            decoder: decoder.build(&scope.child("decoder"))?,
            tensors: scope.clone().into_tensors(),
        })
    }
}

/// A network that reproduces its inputs through a narrow code (Hinton and Salakhutdinov 2006). Its
/// hidden units are tanh; code and outputs are linear.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    encoder: Mlp,
    decoder: Mlp,
    tensors: Tensors,
}

impl Model for Autoencoder {
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        self.decoder
            .forward(&self.encoder.forward(input, pass)?, pass)
    }

    fn tensors(&self) -> &Tensors {
        &self.tensors
    }
}
