//! The memory of vectors. Zeros are made on any device; on the CPU, the memory of many tensors is
//! lent at once, for reading or for writing in place.

use std::cell::RefCell;

use candle_core::{
    CpuStorage, DType, Device, InplaceOp1, Layout, Shape, Storage, Tensor, Var, bail,
};

use super::number::Element;
use crate::error::{Error, Result};

/// A vector of zeros.
///
/// # Errors
/// [`Error::Vector`] when it cannot be made.
pub(crate) fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Var> {
    let shape = shape.into();
    let bytes = shape.elem_count() * dtype.size_in_bytes();
    Var::zeros(shape, dtype, device).map_err(|source| Error::Vector { bytes, source })
}

/// Calls `f` with the elements of every tensor.
///
/// # Errors
/// When a tensor is not on the CPU, not of type `T` or not contiguous.
pub(super) fn with_slices<T: Element, R>(
    tensors: &[Tensor],
    f: impl FnOnce(Vec<&[T]>) -> R,
) -> candle_core::Result<R> {
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let slices = guards
        .iter()
        .map(|(storage, layout)| {
            let Storage::Cpu(storage) = &**storage else {
                bail!("a tensor is not on the CPU")
            };
            let (start, end) = contiguous(layout)?;
            Ok(&storage.as_slice::<T>()?[start..end])
        })
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(f(slices))
}

/// Calls `f` with the elements of one variable, to be changed in place.
///
/// The variable must not share memory with tensors that the caller reads meanwhile.
///
/// # Errors
/// When the variable is not on the CPU, not of type `T` or not contiguous.
pub(super) fn with_slice_mut<T: Element, R>(
    var: &Var,
    f: impl FnOnce(&mut [T]) -> R,
) -> candle_core::Result<R> {
    lend_rest(
        std::slice::from_ref(var),
        Vec::new(),
        |mut slices: Vec<&mut [T]>| f(&mut *slices[0]),
    )
}

/// Variables lent at once: enough for one pass to feed all threads. Not more, because each is lent
/// inside the loan before, which takes some of the stack.
const BATCH: usize = 256;

/// Calls `f` with the elements of the variables, to be changed in place: batch after batch, in
/// order, each with the index of its first variable.
///
/// Variables must not share memory with each other or with tensors that the caller reads
/// meanwhile. `Parameters` and `Gradient` ensure that.
///
/// # Errors
/// When a variable is not on the CPU, not of type `T` or not contiguous.
pub(super) fn with_batches_mut<T: Element>(
    vars: &[Var],
    mut f: impl FnMut(usize, Vec<&mut [T]>),
) -> candle_core::Result<()> {
    for (batch, vars) in vars.chunks(BATCH).enumerate() {
        lend_rest(vars, Vec::with_capacity(vars.len()), |slices| {
            f(batch * BATCH, slices)
        })?;
    }
    Ok(())
}

/// Candle lends a variable's memory for writing only within an in-place operation. To hold the
/// memory of several variables together, each operation starts the next one inside it.
fn lend_rest<T: Element, R, F: FnOnce(Vec<&mut [T]>) -> R>(
    vars: &[Var],
    slices: Vec<&mut [T]>,
    f: F,
) -> candle_core::Result<R> {
    let Some((var, rest)) = vars.split_first() else {
        return Ok(f(slices));
    };
    let op = Lend {
        rest,
        pending: RefCell::new(Some((slices, f))),
        result: RefCell::new(None),
    };
    var.inplace_op1(&op)?;
    match op.result.into_inner() {
        Some(result) => Ok(result),
        None => bail!("the in-place operation did not run"),
    }
}

struct Lend<'a, T, F, R> {
    rest: &'a [Var],
    pending: RefCell<Option<(Vec<&'a mut [T]>, F)>>,
    result: RefCell<Option<R>>,
}

impl<T: Element, R, F: FnOnce(Vec<&mut [T]>) -> R> InplaceOp1 for Lend<'_, T, F, R> {
    fn name(&self) -> &'static str {
        "lend"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (start, end) = contiguous(layout)?;
        let Some((slices, f)) = self.pending.take() else {
            bail!("the in-place operation ran twice")
        };
        let Some(elements) = T::slice_mut(storage) else {
            bail!("a variable is not of dtype {:?}", T::DTYPE)
        };
        let mut slices: Vec<&mut [T]> = slices;
        slices.push(&mut elements[start..end]);
        self.result.replace(Some(lend_rest(self.rest, slices, f)?));
        Ok(())
    }
}

fn contiguous(layout: &Layout) -> candle_core::Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(offsets) => Ok(offsets),
        None => bail!("a tensor is not contiguous"),
    }
}
