//! The network u(x, t): its settings, its parameters, and its derivatives by tensor operations.

use candle_core::{DType, Storage, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::features::{FeatureMap, Features};
use super::jet::Orders;
use super::kernel::{Parameters, real::Real};
use crate::{Error, Init, Result, Scope, Tensors};

/// The settings of a network: hidden layers of one width and one output. The defaults are those of
/// Rathore et al. 2024 (arXiv 2402.01868).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Units of each hidden layer, 1 to 400.
    pub width: usize,
    /// Hidden layers, 1 to 8.
    pub depth: usize,
    /// What follows each hidden layer.
    pub activation: Activation,
    /// The network's inputs.
    pub features: Features,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            width: 50,
            depth: 3,
            activation: Activation::Tanh,
            features: Features::Plain,
        }
    }
}

impl NetworkConfig {
    /// Whether the settings are in range.
    ///
    /// # Errors
    /// Naming the setting at fault.
    pub fn check(&self) -> Result<()> {
        if !(1..=400).contains(&self.width) {
            return Err(Error::setting("network.width", self.width, "1 to 400"));
        }
        if !(1..=8).contains(&self.depth) {
            return Err(Error::setting("network.depth", self.depth, "1 to 8"));
        }
        self.features.check()
    }

    /// Creates `fc1.weight`, `fc1.bias`, `fc2.weight` and so on: Xavier (Glorot and Bengio 2010) normal
    /// weights, zero biases.
    pub(super) fn build(&self, features: FeatureMap, scope: &Scope) -> Result<Network> {
        if !matches!(scope.dtype(), DType::F32 | DType::F64) {
            let dtype = scope.dtype().as_str();
            return Err(Error::setting("dtype", dtype, "f32 or f64"));
        }
        let mut inputs = features.len();
        let mut layers = Vec::with_capacity(self.depth + 1);
        for layer in 0..=self.depth {
            let outputs = if layer < self.depth { self.width } else { 1 };
            let scope = scope.child(format!("fc{}", layer + 1));
            let std = (2.0 / (inputs + outputs) as f64).sqrt();
            layers.push((
                scope.parameter("weight", (outputs, inputs), Init::Normal { std })?,
                scope.parameter("bias", outputs, Init::Constant(0.0))?,
            ));
            inputs = outputs;
        }
        Ok(Network {
            activation: self.activation,
            features,
            layers,
            tensors: scope.clone().into_tensors(),
        })
    }
}

/// A dense network.
#[derive(Debug, Clone)]
pub(super) struct Network {
    activation: Activation,
    pub(super) features: FeatureMap,
    /// Weight `[outputs, inputs]` and bias of each layer.
    pub(super) layers: Vec<(Var, Var)>,
    pub(super) tensors: Tensors,
}

impl Network {
    /// The dtype of the parameters.
    pub(super) fn dtype(&self) -> DType {
        self.layers[0].0.dtype()
    }

    /// Copies the parameters from the CPU's tensors, in the form that the fused kernels read.
    pub(super) fn pack<T: Real>(&self) -> candle_core::Result<Parameters<T>> {
        let layers = self.layers.iter();
        let layers = layers.map(|(weight, bias)| Ok((read(weight)?, read(bias)?)));
        Ok(Parameters::new(
            self.activation,
            &layers.collect::<candle_core::Result<Vec<_>>>()?,
        ))
    }

    /// The output's channels `[channels, points]` from those of the features,
    /// `[channels, points, features]`, by tensor operations that Candle differentiates.
    pub(super) fn forward(&self, features: &Tensor, orders: Orders) -> candle_core::Result<Tensor> {
        let mut activated = features.clone();
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            let (channels, points, inputs) = activated.dims3()?;
            let affine = activated
                .reshape((channels * points, inputs))?
                .matmul(&weight.t()?)?
                .reshape((channels, points, ()))?;
            let mut z = (0..channels)
                .map(|channel| affine.get(channel))
                .collect::<candle_core::Result<Vec<_>>>()?;
            z[0] = z[0].broadcast_add(bias)?;
            if index + 1 < self.layers.len() {
                z = self.activate(z, orders)?;
            }
            activated = Tensor::stack(&z, 0)?;
        }
        activated.squeeze(2)
    }

    /// a = σ(z), a_x = σ′ z_x, a_xx = σ″ z_x² + σ′ z_xx, and the same for t.
    fn activate(&self, mut z: Vec<Tensor>, orders: Orders) -> candle_core::Result<Vec<Tensor>> {
        let has_second = orders.x == 2 || orders.t == 2;
        let [value, first, second] = self.activation.tensors(&z[0], has_second)?;
        z[0] = value;
        for (c, order) in orders.by_input() {
            if order == 2 {
                z[c + 1] = ((&second * z[c].sqr()?)? + (&first * &z[c + 1])?)?;
            }
            if order >= 1 {
                z[c] = (&first * &z[c])?;
            }
        }
        Ok(z)
    }
}

/// A tensor's elements.
fn read<T: Real>(tensor: &Tensor) -> candle_core::Result<Vec<T>> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("the fused kernels read tensors of the CPU");
    };
    let elements = storage.as_slice::<T>()?;
    Ok(elements[layout.start_offset()..][..layout.shape().elem_count()].to_vec())
}
