//! What the authors' code does that neither its README nor the paper says, as switches that can be
//! turned on one by one. `docs/arms.md` lists all sixteen and where each is set.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fault of the training script. Those of its optimizers (S1, S2, S10, S14, S16) are settings of the
/// optimizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// S3: accuracy is that of the first test batch, 500 images.
    #[serde(rename = "S3")]
    FirstTestBatch,
    /// S4: the first accuracy call sets evaluation mode, which is never undone: from the second epoch
    /// on, batch norm trains with its running statistics, and dropout is off.
    #[serde(rename = "S4")]
    EvaluationMode,
    /// S5: the epoch's loss is divided by one batch too many.
    #[serde(rename = "S5")]
    LossDivisor,
    /// S6: L-BFGS's loss is taken after its step on the batch, other methods' before.
    #[serde(rename = "S6")]
    LossAfterStep,
    /// S7: the network is initialised before the seed is set: all seeds share one start.
    #[serde(rename = "S7")]
    OneInitialisation,
    /// S8: the order of batches differs from optimizer to optimizer, though the seed is the same.
    #[serde(rename = "S8")]
    UnpairedOrder,
}

impl Fault {
    /// Test images that count with [`Fault::FirstTestBatch`].
    pub const TEST_BATCH: usize = 500;
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstTestBatch => "S3",
            Self::EvaluationMode => "S4",
            Self::LossDivisor => "S5",
            Self::LossAfterStep => "S6",
            Self::OneInitialisation => "S7",
            Self::UnpairedOrder => "S8",
        })
    }
}
