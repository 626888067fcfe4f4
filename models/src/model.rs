//! What every network offers: a forward pass, a loss and its named tensors.

use candle_core::Tensor;

use crate::loss::cross_entropy;
use crate::{Pass, Tensors};

/// A network that can be trained.
pub trait Model {
    /// The output for a batch of inputs: logits of shape `[batch, classes]` for classifiers,
    /// `[batch, time, vocabulary]` for language models.
    ///
    /// # Errors
    /// When the input's shape or dtype does not fit the network.
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor>;

    /// The [cross-entropy](cross_entropy) of the output and integer targets, whose shape is the
    /// output's without the last axis. A model may compute it without ever holding its whole
    /// output.
    ///
    /// # Errors
    /// As [`Model::forward`], and when the targets do not fit the output.
    fn loss(&self, input: &Tensor, targets: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        cross_entropy(&self.forward(input, pass)?, targets)
    }

    /// The trainable parameters and the buffers.
    fn tensors(&self) -> &Tensors;
}
