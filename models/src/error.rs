//! What can go wrong, each variant naming the setting, layer or tensor at fault.

use std::path::PathBuf;

/// The error of building, loading and describing models. Forward passes return Candle's own error,
/// so that they compose with Candle code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Candle refused a tensor operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),

    /// A setting of a layer or model is outside its range or contradicts another.
    #[error("{name} = {value} is not valid: expected {expected}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The refused value.
        value: String,
        /// What would be right, in words.
        expected: String,
    },

    /// Two parameters or buffers were given the same name.
    #[error("tensor `{name}` is defined twice")]
    DuplicateTensor {
        /// The repeated name.
        name: String,
    },

    /// A weights file does not match the model.
    #[error("{path}: weights do not fit the model: {difference}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// The missing, unexpected and mis-shaped tensors.
        difference: String,
    },

    /// A file could not be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The result of building, loading and describing models.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refused setting.
    pub(crate) fn setting(
        name: &'static str,
        value: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Self::Setting {
            name,
            value: value.to_string(),
            expected: expected.into(),
        }
    }
}
