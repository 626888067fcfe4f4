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
    /// The row i starts at `i * target_row`.
    pub(super) target: &'a mut [T],
    pub(super) target_row: usize,
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
        assert!(self.target.len() >= (self.rows - 1) * self.target_row + self.columns);
        if let Start::Row(row) = self.start {
            assert!(row.len() >= self.columns);
        }
        pulp::Arch::new().dispatch(self);
    }
}

/// Products of rows with few vectors: `target[i * target_row + j] = row i · vector j`.
///
/// A sum of [`Real::PAD`] lanes runs along each row; then its upper half is added to its lower half until
/// one lane is left.
pub(super) struct Dots<'a, T> {
    /// The elements of a row and of a vector, a multiple of [`Real::PAD`].
    pub(super) len: usize,
    pub(super) rows: &'a [T],
    pub(super) vectors: &'a [T],
    pub(super) target: &'a mut [T],
    pub(super) target_row: usize,
}

impl<T: Real> Dots<'_, T> {
    /// Computes them with the widest vectors of this CPU.
    pub(super) fn run(self) {
        assert_eq!(self.len % T::PAD, 0);
        pulp::Arch::new().dispatch(self);
    }
}

impl<T: Real> WithSimd for Dots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many lanes as the shortest vectors need registers for.
        const MOST: usize = 16;
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let registers = T::PAD / lanes;
        let rows = self.rows.chunks_exact(self.len);
        for (row, target) in rows.zip(self.target.chunks_mut(self.target_row)) {
            for (vector, target) in self.vectors.chunks_exact(self.len).zip(target) {
                let mut sums = [T::splat(simd, T::zero()); MOST];
                for start in (0..self.len).step_by(T::PAD) {
                    for r in 0..registers {
                        // SAFETY: both slices have `len` elements, a multiple of `PAD`.
                        unsafe {
                            let at = start + r * lanes;
                            let a = row.as_ptr().add(at).cast::<T::Vector<S>>();
                            let b = vector.as_ptr().add(at).cast::<T::Vector<S>>();
                            let (a, b) = (a.read_unaligned(), b.read_unaligned());
                            sums[r] = T::fused(simd, a, b, sums[r]);
                        }
                    }
                }
                let mut half = registers;
                while half > 1 {
                    half /= 2;
                    for r in 0..half {
                        sums[r] = T::plus(simd, sums[r], sums[r + half]);
                    }
                }
                *target = T::sum(simd, sums[0]);
            }
        }
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
            Start::Target => (target.cast_const(), self.target_row),
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
                        target: target.add(row * self.target_row + column),
                        target_row: self.target_row,
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

#[cfg(all(test, target_arch = "x86_64"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use pulp::Scalar;
    use pulp::x86::{V3, V4};

    use super::*;

    fn values<T: Real>(count: usize) -> Vec<T> {
        let value = |i: usize| T::from_f64(((i * 7919) % 1009) as f64 / 1009.0 - 0.4);
        (0..count).map(value).collect()
    }

    /// What `run` gives without vectors, and with each kind that this CPU has.
    fn by_instruction_set<T: Real>(run: impl Fn(&dyn Fn(Product<T>), &dyn Fn(Dots<T>)) -> Vec<T>) {
        let plain = run(&|p| p.with_simd(Scalar), &|d| d.with_simd(Scalar));
        if let Some(v3) = V3::try_new() {
            let wide = run(&|p| Simd::vectorize(v3, p), &|d| Simd::vectorize(v3, d));
            assert!(wide == plain, "256-bit vectors");
        }
        if let Some(v4) = V4::try_new() {
            let wide = run(&|p| Simd::vectorize(v4, p), &|d| Simd::vectorize(v4, d));
            assert!(wide == plain, "512-bit vectors");
        }
        assert!(run(&|p| p.run(), &|d| d.run()) == plain);
    }

    fn check<T: Real>() {
        for (rows, depth, columns) in [(1, 1, 1), (13, 50, 4), (25, 7, 13)] {
            let columns = columns * T::PAD;
            let (left, right) = (values::<T>(rows * depth), values::<T>(depth * columns));
            let start = values::<T>(columns);
            by_instruction_set(|product, dots| {
                let mut target = vec![T::one(); rows * columns];
                for start in [Start::Row(&start), Start::Target, Start::Zero] {
                    let adds = !matches!(start, Start::Zero);
                    product(Product {
                        rows,
                        depth: if adds { depth } else { 1 },
                        columns: if adds { columns } else { T::PAD },
                        left: &left,
                        left_row: depth,
                        left_depth: 1,
                        right: &right,
                        right_stride: columns,
                        start,
                        target: &mut target,
                        target_row: columns,
                    });
                }
                let mut products = vec![T::zero(); 2 * rows];
                dots(Dots {
                    len: columns,
                    rows: &target,
                    vectors: &right[..columns],
                    target: &mut products,
                    target_row: 2,
                });
                target.extend(products);
                target
            });
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn products_are_right() {
        let (rows, depth, columns) = (13, 9, 24);
        let (left, right) = (values::<f64>(rows * depth), values::<f64>(depth * columns));
        let mut target = vec![1.0; rows * columns];
        Product {
            rows,
            depth,
            columns,
            left: &left,
            left_row: 1,
            left_depth: rows,
            right: &right,
            right_stride: columns,
            start: Start::Target,
            target: &mut target,
            target_row: columns,
        }
        .run();
        for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
            let terms = (0..depth).map(|d| left[i + d * rows] * right[d * columns + j]);
            assert!((target[i * columns + j] - 1.0 - terms.sum::<f64>()).abs() < 1e-13);
        }
    }
}
