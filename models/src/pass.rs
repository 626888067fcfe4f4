//! The two kinds of forward pass.

/// How a forward pass treats batch statistics and dropout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Normalises by the batch's statistics, moves the running statistics and drops units. Passes
    /// with the same seed drop the same units: a line search needs the same function at each trial.
    Train {
        /// The seed of this pass's dropout masks.
        seed: u64,
    },
    /// Normalises by the running statistics and drops nothing.
    Eval,
}

impl Pass {
    /// Whether this is a training pass.
    pub fn is_train(self) -> bool {
        matches!(self, Self::Train { .. })
    }
}
