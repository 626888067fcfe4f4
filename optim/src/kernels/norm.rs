//! The Euclidean norm of a vector in parameter space.

use candle_core::{DType, Device, Tensor, WithDType};
use half::{bf16, f16};
use rayon::prelude::*;

use super::{CHUNK, Element, PARALLEL_MINIMUM, host};
use crate::Result;

/// The Euclidean norm of all tensors together, summed in f64 on the CPU and in f32 elsewhere.
pub(crate) fn norm(tensors: &[Tensor]) -> Result<f64> {
    let Some(first) = tensors.first() else {
        return Ok(0.0);
    };
    match (first.device(), first.dtype()) {
        (Device::Cpu, DType::F32) => Ok(host::with_slices::<f32, _>(tensors, norm_of_slices)?),
        (Device::Cpu, DType::F64) => Ok(host::with_slices::<f64, _>(tensors, norm_of_slices)?),
        (Device::Cpu, DType::BF16) => Ok(host::with_slices::<bf16, _>(tensors, norm_of_slices)?),
        (Device::Cpu, DType::F16) => Ok(host::with_slices::<f16, _>(tensors, norm_of_slices)?),
        _ => Ok(norm_of_tensors(tensors)?),
    }
}

/// The Euclidean norm of all slices together.
pub(super) fn norm_of_slices<T: Element>(slices: Vec<&[T]>) -> f64 {
    let elements: usize = slices.iter().map(|slice| slice.len()).sum();
    let chunks = slices.into_iter().flat_map(|slice| slice.chunks(CHUNK));
    if elements < PARALLEL_MINIMUM {
        return chunks.map(sum_of_squares).sum::<f64>().sqrt();
    }
    let chunks: Vec<&[T]> = chunks.collect();
    let sums: Vec<f64> = chunks.into_par_iter().map(sum_of_squares).collect();
    sums.into_iter().sum::<f64>().sqrt()
}

/// One scalar per tensor, and one transfer to the host for all of them.
fn norm_of_tensors(tensors: &[Tensor]) -> candle_core::Result<f64> {
    let sums = tensors
        .iter()
        .map(|tensor| tensor.to_dtype(DType::F32)?.sqr()?.sum_all())
        .collect::<candle_core::Result<Vec<_>>>()?;
    let sums = Tensor::stack(&sums, 0)?.to_vec1::<f32>()?;
    Ok(sums.into_iter().map(f64::from).sum::<f64>().sqrt())
}

/// The sum of squares in f64, in a fixed order.
pub(super) fn sum_of_squares<T: Element>(values: &[T]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0f64; LANES];
    let blocks = values.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks.chain(std::iter::once(rest)) {
        for (lane, value) in lanes.iter_mut().zip(block) {
            let value = value.widen().to_f64();
            *lane += value * value;
        }
    }
    lanes.iter().sum()
}
