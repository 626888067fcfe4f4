//! What can go wrong, each variant naming the parameter, hyper-parameter or file at fault.

use std::path::PathBuf;

/// The error of every fallible operation in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Candle refused a tensor operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),

    /// The objective could not be evaluated.
    #[error("the objective failed: {0}")]
    Objective(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// A vector of the optimizer could not be made: the device lacks the memory, or the number
    /// type.
    #[error("no vector of {bytes} bytes for the optimizer: {source}")]
    Vector {
        /// The bytes asked for.
        bytes: usize,
        /// The device's words.
        source: candle_core::Error,
    },

    /// Overlapping batches were asked of an objective that has none.
    #[error(
        "the objective knows no samples shared with the previous batch: implement \
         `overlap_gradient`, or take pairs from another source"
    )]
    NoOverlap,

    /// The losses of single samples were asked of an objective that has none.
    #[error(
        "the objective gave {found} losses of single samples where at least 2 are needed, as many \
         each time: implement `sample_losses`, or leave `sample_test` out"
    )]
    NoSamples {
        /// How many it gave.
        found: usize,
    },

    /// A method asked for a second evaluation where only one can be given.
    #[error(
        "this method evaluates more than once in a step, and `backward_step` gives it one \
         evaluation: call `optim::Optimizer::step` with an objective instead"
    )]
    SecondEvaluation,

    /// There is nothing to optimize.
    #[error("the parameter set is empty: pass at least one named variable")]
    EmptyParameters,

    /// Two parameters share a name.
    #[error("parameter `{name}` appears twice: names must be unique")]
    DuplicateParameter {
        /// The repeated name.
        name: String,
    },

    /// Two parameters are the same memory.
    #[error("parameters `{first}` and `{second}` share their memory: pass tied weights once")]
    SharedParameter {
        /// One name.
        first: String,
        /// The other name.
        second: String,
    },

    /// A parameter differs from the others in dtype or device, or a tensor has another shape than
    /// its parameter.
    #[error("parameter `{name}`: {property} is {found}, expected {expected}")]
    Mismatch {
        /// The parameter at fault.
        name: String,
        /// Which property differs: `dtype`, `device` or `shape`.
        property: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },

    /// The backward pass did not reach a parameter.
    #[error(
        "parameter `{name}` has no gradient: the loss does not depend on it through \
         differentiable operations"
    )]
    MissingGradient {
        /// The parameter at fault.
        name: String,
    },

    /// A hyper-parameter is outside its range.
    #[error("{name} = {value} is out of range: expected {expected}")]
    HyperParameter {
        /// The setting's name.
        name: &'static str,
        /// The refused value.
        value: String,
        /// The accepted range, in words.
        expected: &'static str,
    },

    /// An evaluation was asked for after the budget was spent.
    #[error("the budget of {budget} evaluations is spent")]
    BudgetSpent {
        /// The budget, in evaluations.
        budget: u64,
    },

    /// A checkpoint does not belong to this optimizer or these parameters.
    #[error("checkpoint does not fit: {0}")]
    Checkpoint(String),

    /// A checkpoint file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A file is not a complete checkpoint.
    #[error(
        "{path}: not a complete optimizer state ({source}): it may be truncated or another kind \
         of file"
    )]
    NotAState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The result of every fallible operation in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
