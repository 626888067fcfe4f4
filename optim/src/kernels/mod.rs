//! Fused update kernels: on the CPU one parallel pass over all vectors of an update, in place, and on CUDA
//! devices one launch; each with a plain-tensor form that other devices use and that the tests compare with.

mod adam;
#[cfg(feature = "cuda")]
mod cuda;
pub(crate) mod history;
pub(crate) mod host;
mod norm;
mod number;
mod sgd;
mod update;

use candle_core::{DType, Device, Shape, Var};

use crate::{Error, Result};

pub(crate) use adam::{AdamCoefficients, AdamRule};
pub(crate) use norm::norm;
pub(crate) use number::Element;
pub(crate) use sgd::{SgdCoefficients, SgdRule};
pub(crate) use update::{StateVectors, update};

/// Elements per chunk: the unit of parallel work and of partial sums, so that results do not depend
/// on the number of threads.
const CHUNK: usize = 16 * 1024;

/// Below this many elements, waking other threads costs more than it saves.
const PARALLEL_MINIMUM: usize = 2 * CHUNK;

/// The dtype of state and arithmetic beside parameters of `dtype`.
pub(crate) fn state_dtype(dtype: DType) -> DType {
    if dtype == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}

/// A vector of zeros.
///
/// # Errors
/// [`Error::Vector`] when it cannot be made.
pub(crate) fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Var> {
    let shape = shape.into();
    let bytes = shape.elem_count() * dtype.size_in_bytes();
    Var::zeros(shape, dtype, device).map_err(|source| Error::Vector { bytes, source })
}

/// Calls `f`, compiled for AVX2 where the processor has it. Mark `f` as `#[inline(always)]`, else it
/// stays compiled for the baseline.
///
/// Only the width of the vectors differs between the two, and fused multiply-add stays off, so the
/// results are the same bits.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn with_avx2<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        // SAFETY: the processor has AVX2, as was just detected.
        return unsafe { with_avx2(f) };
    }
    f()
}
