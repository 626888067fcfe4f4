//! Half precision is stored, not computed with: sums are formed in f32.

use candle_core::{DType, Tensor};

/// The tensor in the type that sums are formed in.
pub(crate) fn upcast(tensor: &Tensor) -> candle_core::Result<Tensor> {
    tensor.to_dtype(upcast_dtype(tensor.dtype()))
}

/// The type that sums of elements of `dtype` are formed in: f32 for half precision, else `dtype`.
pub(crate) fn upcast_dtype(dtype: DType) -> DType {
    match dtype {
        DType::BF16 | DType::F16 => DType::F32,
        other => other,
    }
}
