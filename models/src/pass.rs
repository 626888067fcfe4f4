//! The two kinds of forward pass.

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
