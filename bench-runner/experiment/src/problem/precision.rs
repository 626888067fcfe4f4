//! The number format of a network.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// The number format of a network's parameters, activations and gradients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 64-bit floating point.
    F64,
    /// bfloat16; losses, running statistics, and what optimizers keep beside the parameters are in f32.
    Bf16,
}

impl Precision {
    pub(super) fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    pub(super) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
            Self::Bf16 => DType::BF16,
        }
    }

    /// The format that sums over samples are formed in.
    pub(super) fn sums(self) -> DType {
        match self {
            Self::F32 | Self::Bf16 => DType::F32,
            Self::F64 => DType::F64,
        }
    }

    /// The number that a measurement left in a tensor of one element, of whatever format.
    pub(super) fn number(scalar: &Tensor) -> candle_core::Result<f64> {
        scalar.to_dtype(DType::F64)?.to_scalar()
    }

    /// A problem's title with the format, unless it is the usual one.
    pub(super) fn title(self, title: String) -> String {
        match self {
            Self::F32 => title,
            Self::F64 => format!("{title} in f64"),
            Self::Bf16 => format!("{title} in bf16"),
        }
    }
}
