//! Matrix products on tiles that lie in the cache: blocks of sums stay in registers.
//!
//! Each sum adds its products one after the other with fused multiply-adds, so its bits depend neither
//! on the width of the CPU's vectors nor on how the matrix is cut into blocks.

use pulp::{Simd, WithSimd};

use super::real::Real;

/// `target = start + left right`, all in one thread. Columns are a multiple of [`Real::PAD`].
pub(super) struct Product<'a, T> {
    pub(super) rows: usize,
    pub(super) depth: usize,
    pub(super) columns: usize,
    /// The element in row i and depth d is at `i * left_row + d * left_depth`.
    pub(super) left: &'a [T],
    pub(super) left_row: usize,
    pub(super) left_depth: usize,
    /// The row of depth d starts at `d * right_stride`.
    pub(super) right: &'a [T],
    pub(super) right_stride: usize,
    pub(super) start: Start<'a, T>,
    /// The row i starts at `i * columns`.
    pub(super) target: &'a mut [T],
}

/// What the product is added to.
pub(super) enum Start<'a, T> {
    Zero,
    /// The same row everywhere.
    Row(&'a [T]),
    /// What the target holds.
    Target,
}

impl<T: Real> Product<'_, T> {
    /// Computes it with the widest vectors of this CPU.
    pub(super) fn run(self) {
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        let last = self.depth.saturating_sub(1);
        assert_eq!(self.columns % T::PAD, 0);
        assert!(self.left.len() > (self.rows - 1) * self.left_row + last * self.left_depth);
        assert!(self.right.len() >= last * self.right_stride + self.columns);
        assert!(self.target.len() >= self.rows * self.columns);
        if let Start::Row(row) = self.start {
            assert!(row.len() >= self.columns);
        }
        pulp::Arch::new().dispatch(self);
    }
}

/// The rows of a block; with four vectors in a row its sums fill 24 of 32 registers.
const ROWS: usize = 6;

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let has_32_registers = size_of::<T::Vector<S>>() == 64 || cfg!(target_arch = "aarch64");
        let most = if has_32_registers { 4 } else { 2 };
        let vectors = self.columns / lanes;
        let target = self.target.as_mut_ptr();
        let (start, start_row) = match self.start {
            Start::Zero => (std::ptr::null(), 0),
            Start::Row(row) => (row.as_ptr(), 0),
            Start::Target => (target.cast_const(), self.columns),
        };
        let mut first = 0;
        for vectors in parts(vectors, most) {
            let column = first * lanes;
            first += vectors;
            let mut row = 0;
            for rows in parts(self.rows, ROWS) {
                let start = if start.is_null() {
                    start
                } else {
                    start.wrapping_add(row * start_row + column)
                };
                // SAFETY: `run` checked that all rows and columns lie within the slices.
                unsafe {
                    let block = Block {
                        depth: self.depth,
                        left: self.left.as_ptr().wrapping_add(row * self.left_row),
                        left_row: self.left_row,
                        left_depth: self.left_depth,
                        right: self.right.as_ptr().add(column),
                        right_stride: self.right_stride,
                        start,
                        start_row,
                        target: target.add(row * self.columns + column),
                        target_row: self.columns,
                    };
                    match vectors {
                        1 => block.rows::<S, 1>(simd, rows),
                        2 => block.rows::<S, 2>(simd, rows),
                        3 => block.rows::<S, 3>(simd, rows),
                        _ => block.rows::<S, 4>(simd, rows),
                    }
                }
                row += rows;
            }
        }
    }
}

/// Cuts `total` into parts of at most `most` whose sizes differ by at most 1.
#[inline(always)]
fn parts(total: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = total.div_ceil(most);
    (0..count).map(move |i| (total + i) / count)
}

/// The pointers of one block.
struct Block<T> {
    depth: usize,
    left: *const T,
    left_row: usize,
    left_depth: usize,
    right: *const T,
    right_stride: usize,
    start: *const T,
    start_row: usize,
    target: *mut T,
    target_row: usize,
}

impl<T: Real> Block<T> {
    #[inline(always)]
    unsafe fn rows<S: Simd, const V: usize>(self, simd: S, rows: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            match rows {
                1 => self.run::<S, 1, V>(simd),
                2 => self.run::<S, 2, V>(simd),
                3 => self.run::<S, 3, V>(simd),
                4 => self.run::<S, 4, V>(simd),
                5 => self.run::<S, 5, V>(simd),
                _ => self.run::<S, ROWS, V>(simd),
            }
        }
    }

    /// The sums of `R` rows of `V` vectors.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let zero = T::splat(simd, T::zero());
        let mut sums = [[zero; V]; R];
        // SAFETY: the caller promises that the block lies within the matrices.
        unsafe {
            if !self.start.is_null() {
                for r in 0..R {
                    for v in 0..V {
                        let start = self.start.add(r * self.start_row + v * lanes);
                        sums[r][v] = start.cast::<T::Vector<S>>().read_unaligned();
                    }
                }
            }
            for d in 0..self.depth {
                let right = self.right.add(d * self.right_stride);
                let mut row = [zero; V];
                for v in 0..V {
                    row[v] = right.add(v * lanes).cast::<T::Vector<S>>().read_unaligned();
                }
                let left = self.left.add(d * self.left_depth);
                for r in 0..R {
                    let factor = T::splat(simd, *left.add(r * self.left_row));
                    for v in 0..V {
                        sums[r][v] = T::fused(simd, factor, row[v], sums[r][v]);
                    }
                }
            }
            for r in 0..R {
                for v in 0..V {
                    let target = self.target.add(r * self.target_row + v * lanes);
                    target.cast::<T::Vector<S>>().write_unaligned(sums[r][v]);
                }
            }
        }
    }
}
