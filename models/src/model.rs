//! What every network offers: a forward pass, its named tensors and its description.

use candle_core::{Tensor, Var};

use crate::loss::cross_entropy;

/// A network that can be trained.
pub trait Model {
    /// The output for a batch of inputs: logits of shape `[batch, classes]` for classifiers,
    /// `[batch, time, vocabulary]` for language models.
    ///
    /// # Errors
    /// When the input's shape or dtype does not fit the network.
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor>;

    /// The [cross-entropy](cross_entropy) of the output and integer targets, whose shape is the
    /// output's without the last axis. A model may compute it with less memory than its output takes.
    ///
    /// # Errors
    /// As [`Model::forward`], and when the targets do not fit the output.
    fn loss(&self, input: &Tensor, targets: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        cross_entropy(&self.forward(input, pass)?, targets)
    }

    /// The trainable parameters and the buffers.
    fn tensors(&self) -> &Tensors;
}

/// How a forward pass treats batch statistics and dropout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Batch statistics, updated running statistics, and dropout drawn from `seed`: passes with the
    /// same seed drop the same units, as a line search on one batch needs it.
    Train {
        /// The seed of this pass's dropout masks.
        seed: u64,
    },
    /// Running statistics, no dropout.
    Eval,
}

impl Pass {
    /// Whether this is a training pass.
    pub fn is_train(self) -> bool {
        matches!(self, Self::Train { .. })
    }
}

/// The named tensors of a model, each list sorted by name. Cloning shares the variables.
#[derive(Debug, Clone, Default)]
pub struct Tensors {
    /// What an optimizer moves.
    pub parameters: Vec<(String, Var)>,
    /// What only the forward pass moves, such as running statistics.
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
}
