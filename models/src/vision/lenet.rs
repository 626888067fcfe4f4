//! The small convolutional network after LeNet-5 (LeCun et al. 1998) that FUSE's experiments use.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::layer::{Activation, Conv2d, Conv2dConfig, Linear, LinearConfig, Pool2d};
use crate::{Error, Model, Pass, Result, Scope, Tensors};

/// The settings of a [`LeNet`].
///
/// ```
/// use candle_core::{DType, Device};
/// use models::vision::LeNetConfig;
/// use models::{Model, Scope};
///
/// # fn main() -> models::Result<()> {
/// let config = LeNetConfig { size: 28, ..LeNetConfig::default() };
/// let net = config.build(&Scope::new(0, DType::F32, &Device::Cpu))?;
/// assert_eq!(net.tensors().parameter_count(), 44_426);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeNetConfig {
    /// Rows and columns of the images.
    pub size: usize,
    /// Channels of the images.
    pub in_channels: usize,
    /// Classes to tell apart.
    pub classes: usize,
}

impl Default for LeNetConfig {
    /// 10 classes of 16×16 images with one channel, as in FUSE.
    fn default() -> Self {
        Self {
            size: 16,
            in_channels: 1,
            classes: 10,
        }
    }
}

impl LeNetConfig {
    /// Its parameters.
    pub(crate) fn parameter_count(&self) -> f64 {
        let side = (self.size.saturating_sub(4) / 2).saturating_sub(4) / 2;
        let convolutions = 6.0 * (25.0 * self.in_channels as f64 + 1.0) + 16.0 * 151.0;
        let linear = 120.0 * (16.0 * (side as f64).powi(2) + 1.0) + 84.0 * 121.0;
        convolutions + linear + 85.0 * self.classes as f64
    }

    /// Creates the network, initialised as PyTorch does.
    ///
    /// # Errors
    /// When `size` is below 16, from which on a pixel is left for the linear layers, or another
    /// setting is 0.
    pub fn build(&self, scope: &Scope) -> Result<LeNet> {
        if self.size < 16 {
            return Err(Error::setting("size", self.size, "at least 16"));
        }
        for (name, value) in [("in_channels", self.in_channels), ("classes", self.classes)] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        let side = ((self.size - 4) / 2 - 4) / 2;
        let linear = |name: &str, inputs: usize, outputs: usize| {
            LinearConfig::new(inputs, outputs).build(&scope.child(name))
        };
        Ok(LeNet {
            conv1: Conv2dConfig::new(self.in_channels, 6, 5).build(&scope.child("conv1"))?,
            conv2: Conv2dConfig::new(6, 16, 5).build(&scope.child("conv2"))?,
            pool: Pool2d::max(2, 2, 0)?,
            fc1: linear("fc1", 16 * side * side, 120)?,
            fc2: linear("fc2", 120, 84)?,
            fc3: linear("fc3", 84, self.classes)?,
            tensors: scope.clone().into_tensors(),
        })
    }
}

/// Two 5×5 convolutions with 6 and 16 channels, each with ReLU and 2×2 max-pooling, then linear
/// layers of 120, 84 and `classes` outputs.
#[derive(Debug, Clone)]
pub struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: Pool2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
    tensors: Tensors,
}

impl Model for LeNet {
    fn forward(&self, input: &Tensor, _pass: Pass) -> candle_core::Result<Tensor> {
        let hidden = self.conv1.forward_pool_relu(input, &self.pool)?;
        let hidden = self.conv2.forward_pool_relu(&hidden, &self.pool)?;
        let hidden = self.fc1.forward(&hidden.flatten_from(1)?)?;
        let hidden = self.fc2.forward_activated(Activation::Relu, &hidden)?;
        self.fc3.forward_activated(Activation::Relu, &hidden)
    }

    fn tensors(&self) -> &Tensors {
        &self.tensors
    }
}
