//! The named parameters and buffers of a model.

use candle_core::Var;

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
