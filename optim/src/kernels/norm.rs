//! The Euclidean norm of a vector in parameter space.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor, WithDType};
use rayon::prelude::*;

use super::memory::with_slices;
use super::number::{Element, Real, state_dtype, sum_lanes, with_element};
use super::parallel::{CHUNK, PARALLEL_MINIMUM, vectorized};

/// The Euclidean norm of all tensors together. Squares are added up in f64 on the CPU and on CUDA
/// devices, and in f32 elsewhere. Squares that are too large or too small for that cost another
/// pass.
pub(crate) fn norm(tensors: &[Tensor]) -> Result<f64> {
    let Some(first) = tensors.first() else {
        return Ok(0.0);
    };
    let sum = match first.device() {
        Device::Cpu => {
            with_element!(first.dtype(), T => with_slices::<T, _>(tensors, sum_of_slices))?
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => super::cuda::update::sum_of_squares(tensors)?,
        _ => sum_of_tensors(tensors)?,
    };
    root(sum, tensors)
}

/// √`sum`, the sum of squares of `tensors`. Where squares are too large or too small to be added
/// up, the norm is taken from the elements divided by the largest.
pub(super) fn root(sum: f64, tensors: &[Tensor]) -> Result<f64> {
    let range = match tensors.first().map(Tensor::device) {
        Some(Device::Cpu | Device::Cuda(_)) => 1e-280..f64::INFINITY,
        _ => 1e-25..1e35,
    };
    if range.contains(&sum) || sum.is_nan() {
        return Ok(sum.sqrt());
    }
    let mut largest = 0f64;
    let mut widened = Vec::with_capacity(tensors.len());
    for tensor in tensors.iter().filter(|tensor| tensor.elem_count() > 0) {
        let tensor = tensor.to_dtype(state_dtype(tensor.dtype()))?;
        let magnitude = tensor.abs()?.max_all()?.to_dtype(DType::F64)?;
        largest = largest.max(magnitude.to_scalar()?);
        widened.push(tensor);
    }
    if largest == 0.0 || largest.is_infinite() {
        return Ok(largest);
    }
    let mut sum = 0.0;
    for tensor in widened {
        let divisor = Tensor::new(largest, &Device::Cpu)?.to_dtype(tensor.dtype())?;
        let quotients = tensor.broadcast_div(&divisor.to_device(tensor.device())?)?;
        let squares = quotients.sqr()?.sum_all()?.to_device(&Device::Cpu)?;
        sum += squares.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    }
    Ok(largest * sum.sqrt())
}

/// The sum of squares of all slices together.
pub(super) fn sum_of_slices<T: Element>(slices: Vec<&[T]>) -> f64 {
    let sum = |chunk: &[T]| {
        vectorized(
            #[inline(always)]
            || sum_of_squares(chunk),
        )
    };
    let elements: usize = slices.iter().map(|slice| slice.len()).sum();
    let chunks = slices.into_iter().flat_map(|slice| slice.chunks(CHUNK));
    if elements < PARALLEL_MINIMUM {
        return chunks.map(sum).sum();
    }
    let chunks: Vec<&[T]> = chunks.collect();
    let sums: Vec<f64> = chunks.into_par_iter().map(sum).collect();
    sums.into_iter().sum()
}

/// One scalar per tensor, and one transfer to the host for all of them.
fn sum_of_tensors(tensors: &[Tensor]) -> Result<f64> {
    let sums = tensors
        .iter()
        .map(|tensor| tensor.to_dtype(DType::F32)?.sqr()?.sum_all())
        .collect::<Result<Vec<_>>>()?;
    let sums = Tensor::stack(&sums, 0)?.to_vec1::<f32>()?;
    Ok(sums.into_iter().map(f64::from).sum())
}

/// Elements per block: few enough to stay in the first-level cache, and for a sum of squares in f32
/// to keep six digits.
pub(super) const BLOCK: usize = 2048;

/// An update and the sum of squares take turns after so many elements: what one loads, the other
/// finds in the cache, and memory is not idle while squares are added up.
pub(super) const PIECE: usize = 256;

/// Elements of one run of lanes.
const LANES: usize = 64;

/// The sum of squares, in a fixed order: blocks in the type of the arithmetic, their sums in f64.
#[inline(always)]
pub(super) fn sum_of_squares<T: Element>(values: &[T]) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(BLOCK) {
        total += block_sum(block, |_| ());
    }
    total
}

/// The sum of squares of one block. Where the squares overflow or underflow, they are summed again
/// in f64.
///
/// `visit` is called with each piece of the block just before the piece is summed: it finds the
/// piece in the cache, or leaves it there. A piece has [`PIECE`] elements, the last one fewer.
#[inline(always)]
pub(super) fn block_sum<T: Element>(block: &[T], mut visit: impl FnMut(Range<usize>)) -> f64 {
    const SAFE: Range<f64> = 1e-25..1e35;
    let mut lanes = [T::Real::ZERO; LANES];
    let mut from = 0;
    for piece in block.chunks(PIECE) {
        visit(from..from + piece.len());
        from += piece.len();
        add_squares(&mut lanes, piece, T::widen);
    }
    let sum = sum_lanes(lanes);
    if SAFE.contains(&sum) {
        return sum;
    }
    let mut lanes = [0.0; LANES];
    add_squares(&mut lanes, block, |value| value.widen().to_f64());
    sum_lanes(lanes)
}

/// The sum of all elements of a tensor.
pub(super) fn sum(tensor: &Tensor) -> Result<f64> {
    tensor.sum_all()?.to_dtype(DType::F64)?.to_scalar()
}

/// The sum of the terms of one piece, in a fixed order.
#[inline(always)]
pub(super) fn sum_terms(terms: &[f64; PIECE]) -> f64 {
    let mut lanes = [0.0; 8];
    for row in terms.as_chunks::<8>().0 {
        for (lane, term) in lanes.iter_mut().zip(row) {
            *lane += term;
        }
    }
    sum_lanes(lanes)
}

#[inline(always)]
fn add_squares<T: Element, S: Real>(lanes: &mut [S; LANES], values: &[T], widen: impl Fn(T) -> S) {
    let (rows, rest) = values.as_chunks::<LANES>();
    for row in rows {
        for (lane, value) in lanes.iter_mut().zip(row) {
            let value = widen(*value);
            *lane += value * value;
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        let value = widen(*value);
        *lane += value * value;
    }
}
