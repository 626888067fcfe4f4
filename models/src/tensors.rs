//! The named parameters and buffers of a model.

use candle_core::{Result, Tensor, Var, bail};

/// The named tensors of a model, each list sorted by name. Cloning shares the variables.
#[derive(Debug, Clone, Default)]
pub struct Tensors {
    /// What an optimizer moves.
    pub parameters: Vec<(String, Var)>,
    /// What training passes move, such as running statistics.
    pub buffers: Vec<(String, Var)>,
}

impl Tensors {
    /// The number of trainable elements.
    pub fn parameter_count(&self) -> usize {
        self.parameters
            .iter()
            .map(|(_, var)| var.elem_count())
            .sum()
    }

    /// Copies of all buffers, in their order: what a training pass leaves behind, apart from
    /// gradients. [`restore_buffers`](Self::restore_buffers) undoes the passes that were made
    /// since.
    ///
    /// # Errors
    /// When the device has no memory for a copy.
    pub fn snapshot_buffers(&self) -> Result<Vec<Tensor>> {
        let copy = |(_, buffer): &(String, Var)| buffer.as_detached_tensor().copy();
        self.buffers.iter().map(copy).collect()
    }

    /// Sets all buffers to what they were at `snapshot`. A training pass at a point that a line
    /// search rejects then leaves no trace: dropout draws from the pass's seed alone, and there is
    /// no other state.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use models::vision::ResNetConfig;
    /// use models::{Model, Pass, Scope};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = ResNetConfig::cifar(8).width(4);
    /// let net = config.build(&Scope::new(0, DType::F32, &Device::Cpu))?;
    /// let images = Tensor::ones((2, 3, 8, 8), DType::F32, &Device::Cpu)?;
    /// let before = net.forward(&images, Pass::Eval)?.to_vec2::<f32>()?;
    ///
    /// let snapshot = net.tensors().snapshot_buffers()?;
    /// net.forward(&images, Pass::Train { seed: 0 })?;
    /// net.tensors().restore_buffers(&snapshot)?;
    /// assert_eq!(net.forward(&images, Pass::Eval)?.to_vec2::<f32>()?, before);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the snapshot is of a model with other buffers.
    pub fn restore_buffers(&self, snapshot: &[Tensor]) -> Result<()> {
        if snapshot.len() != self.buffers.len() {
            bail!(
                "the snapshot has {} buffers: expected {}",
                snapshot.len(),
                self.buffers.len()
            );
        }
        for ((name, buffer), value) in self.buffers.iter().zip(snapshot) {
            if value.shape() != buffer.shape() {
                bail!(
                    "buffer `{name}`: the snapshot has shape {:?}: expected {:?}",
                    value.dims(),
                    buffer.dims()
                );
            }
        }
        let mut values = self.buffers.iter().zip(snapshot);
        values.try_for_each(|((_, buffer), value)| buffer.set(value))
    }
}
