//! Matrix products on slices.

use super::Float;

/// A matrix seen in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A row-major matrix without gaps.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows start `row_stride` elements apart.
    pub(crate) fn strided(data: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        let end = extent(rows, columns, row_stride);
        assert!(data.len() >= end, "a matrix must lie within its slice");
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The transposed matrix.
    pub(crate) fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// Where a product goes: a row-major matrix, possibly with gaps between its rows.
#[derive(Clone, Copy)]
pub(crate) struct Target<T> {
    data: *mut T,
    row_stride: usize,
}

// SAFETY: a target is only an address; `product`, which writes to it, is unsafe.
unsafe impl<T: Send> Send for Target<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Target<T> {}

impl<T> Target<T> {
    /// The matrix at the start of `data`.
    pub(crate) fn new(data: &mut [T], row_stride: usize) -> Self {
        Self {
            data: data.as_mut_ptr(),
            row_stride,
        }
    }

    /// The matrix that starts `offset` elements later.
    pub(crate) fn at(self, offset: usize) -> Self {
        Self {
            data: self.data.wrapping_add(offset),
            ..self
        }
    }
}

/// How a product is put into its target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// The target's values are replaced.
    Replace,
    /// The product is added to the target's values.
    Add,
}

/// `output = a b` or `output += a b`, on all threads.
pub(crate) fn matmul<T: Float>(a: Matrix<T>, b: Matrix<T>, output: &mut [T], write: Write) {
    assert_eq!(output.len(), a.rows * b.columns);
    let target = Target::new(output, b.columns);
    // SAFETY: the target is the whole of an exclusively borrowed slice of the product's size.
    unsafe { call(a, b, T::one(), target, write, gemm::Parallelism::Rayon(0)) }
}

/// `output = scale a b` or `output += scale a b`, on the calling thread.
///
/// # Safety
/// The target must hold the product, and nothing else may access its elements meanwhile.
pub(crate) unsafe fn product<T: Float>(
    a: Matrix<T>,
    b: Matrix<T>,
    scale: T,
    target: Target<T>,
    write: Write,
) {
    // SAFETY: promised by the caller.
    unsafe { call(a, b, scale, target, write, gemm::Parallelism::None) }
}

unsafe fn call<T: Float>(
    a: Matrix<T>,
    b: Matrix<T>,
    scale: T,
    target: Target<T>,
    write: Write,
    parallelism: gemm::Parallelism,
) {
    assert_eq!(a.columns, b.rows, "the inner sizes of a product must agree");
    let add = write == Write::Add;
    // SAFETY: `Matrix` checked that both factors lie within their slices; the caller promises the
    // target.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            target.data,
            1,
            target.row_stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::one(),
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn extent(rows: usize, columns: usize, row_stride: usize) -> usize {
    match rows.checked_sub(1) {
        Some(last) if columns > 0 => last * row_stride + columns,
        _ => 0,
    }
}
