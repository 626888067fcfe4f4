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

impl<T: Copy> Matrix<'_, T> {
    /// The elements row by row.
    fn by_rows(self) -> Vec<T> {
        let row = |i: usize| {
            let start = i * self.row_stride;
            (0..self.columns).map(move |j| self.data[start + j * self.column_stride])
        };
        (0..self.rows).flat_map(row).collect()
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
    if b.columns == 1 || a.rows == 1 {
        // SAFETY: promised by the caller.
        return unsafe { with_vector(a, b, scale, target, add) };
    }
    if a.column_stride == 1 && b.row_stride == 1 && a.rows * b.columns <= PARTIAL_SUMS {
        // SAFETY: promised by the caller.
        return unsafe {
            if a.rows < b.columns {
                let elements = a.transposed().by_rows();
                let a = Matrix::new(&elements, a.columns, a.rows).transposed();
                call(a, b, scale, target, write, parallelism)
            } else {
                let elements = b.by_rows();
                let b = Matrix::new(&elements, b.rows, b.columns);
                call(a, b, scale, target, write, parallelism)
            }
        };
    }
    let block = block(a.rows, a.columns, b.columns);
    for first in (0..a.columns.max(1)).step_by(block) {
        let terms = block.min(a.columns - first);
        // SAFETY: `Matrix` checked that both factors lie within their slices; the caller promises the
        // target.
        unsafe {
            gemm::gemm(
                a.rows,
                b.columns,
                terms,
                target.data,
                1,
                target.row_stride as isize,
                add || first > 0,
                a.data.as_ptr().add(first * a.column_stride),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr().add(first * b.row_stride),
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
}

/// Terms that gemm adds up one after the other, at most, before it adds the sum to those before. Left to itself it
/// takes this many or more, by the size of the first-level cache.
const BLOCK: usize = 512;

/// Elements of a product, at most, whose sums gemm adds up in as many parts as its vectors have elements, where the rows of
/// the one factor and the columns of the other are without gaps. The smaller factor is then copied in the other order.
const PARTIAL_SUMS: usize = 256;

/// Into how many terms a sum is divided, so that its order is the same on every processor: in large products evenly.
fn block(rows: usize, terms: usize, columns: usize) -> usize {
    match rows <= 64 && columns <= 64 {
        true => BLOCK,
        false => terms.div_ceil(terms.div_ceil(BLOCK).max(1)).max(1),
    }
}

/// Sums that [`with_vector`] adds up at the same time.
const SUMS: usize = 8;

/// A product of which a factor is a vector, every sum in the order of its terms: gemm adds such sums up in an order that
/// the width of vectors decides.
///
/// # Safety
/// As [`product`].
unsafe fn with_vector<T: Float>(
    a: Matrix<T>,
    b: Matrix<T>,
    scale: T,
    target: Target<T>,
    add: bool,
) {
    let (rows, terms) = (a.rows, a.columns);
    for first in (0..rows * b.columns).step_by(SUMS) {
        let count = SUMS.min(rows * b.columns - first);
        let mut sums = [T::zero(); SUMS];
        for p in 0..terms {
            for (i, sum) in sums[..count].iter_mut().enumerate() {
                let (row, column) = match rows {
                    1 => (0, first + i),
                    _ => (first + i, 0),
                };
                let left = a.data[row * a.row_stride + p * a.column_stride];
                let right = b.data[p * b.row_stride + column * b.column_stride];
                *sum += left * right;
            }
        }
        for (i, sum) in sums[..count].iter().enumerate() {
            let offset = match rows {
                1 => first + i,
                _ => (first + i) * target.row_stride,
            };
            let place = target.data.wrapping_add(offset);
            // SAFETY: the caller promises that the target holds the product.
            unsafe {
                *place = match add {
                    true => *place + scale * *sum,
                    false => scale * *sum,
                };
            }
        }
    }
}

fn extent(rows: usize, columns: usize, row_stride: usize) -> usize {
    match rows.checked_sub(1) {
        Some(last) if columns > 0 => last * row_stride + columns,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product with every sum in the order of its terms, in blocks: of equal size in large products.
    fn in_order<T: Float>(
        a: &[T],
        b: &[T],
        [m, k, n]: [usize; 3],
        fused: fn(T, T, T) -> T,
    ) -> Vec<T> {
        let with_vector = m == 1 || n == 1;
        let block = if with_vector { k } else { block(m, k, n) };
        let next = |sum: T, a: T, b: T| match with_vector {
            true => sum + a * b,
            false => fused(a, b, sum),
        };
        let entry = |i: usize, j: usize| {
            (0..k).step_by(block).fold(T::zero(), |sum, start| {
                let terms = start..(start + block).min(k);
                sum + terms.fold(T::zero(), |sum, p| next(sum, a[i * k + p], b[p * n + j]))
            })
        };
        (0..m * n).map(|at| entry(at / n, at % n)).collect()
    }

    fn check<T: Float>(fused: fn(T, T, T) -> T, value: fn(f64) -> T) {
        let drawn = |count: usize, seed: usize| -> Vec<T> {
            (0..count)
                .map(|i| value((((i + seed) * 7919 % 1009) as f64 / 504.0).sin()))
                .collect()
        };
        for shape in [
            [1, 1, 1],
            [5, 3, 7],
            [64, 64, 32],
            [3, 784, 10],
            [128, 511, 10],
            [7, 512, 9],
            [7, 513, 9],
            [65, 784, 64],
            [10, 1100, 33],
            [2, 2000, 3],
            [1, 784, 10],
            [16, 600, 1],
            [1, 600, 1],
            [16, 32, 16],
            [4, 64, 10],
            [2, 700, 3],
            [10, 16, 16],
            [3, 64, 64],
        ] {
            let [m, k, n] = shape;
            let (a, b) = (drawn(m * k, 1), drawn(k * n, 5));
            let expected = in_order(&a, &b, shape, fused);
            let (rows, columns) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            // The same factors, column by column.
            let turned = (rows.transposed().by_rows(), columns.transposed().by_rows());
            let a_turned = Matrix::new(&turned.0, k, m).transposed();
            let b_turned = Matrix::new(&turned.1, n, k).transposed();
            for (a, b) in [rows, a_turned]
                .into_iter()
                .flat_map(|a| [columns, b_turned].map(|b| (a, b)))
            {
                let mut found = vec![T::zero(); m * n];
                matmul(a, b, &mut found, Write::Replace);
                assert!(found == expected, "{shape:?}");
            }
        }
    }

    #[test]
    fn sums_are_in_the_order_of_their_terms_whatever_the_width_of_vectors() {
        check(|a: f32, b, c| a.mul_add(b, c), |value| value as f32);
        check(|a: f64, b, c| a.mul_add(b, c), |value| value);
    }
}
