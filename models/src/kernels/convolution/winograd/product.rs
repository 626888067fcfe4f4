//! The products of matrices at the points of a tile.

use crate::kernels::Float;
use crate::kernels::vector::{Kernel, Vector};

/// `target[r][c] = sum over k of a[r][k] b[k][c]`, or that added to the target.
pub(super) struct Product<'a, T> {
    pub(super) depth: usize,
    /// Rows, and columns; these are a multiple of the vectors' lanes.
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) a: &'a [T],
    /// The distance of rows in `a`, and that of neighbours along `k`.
    pub(super) a_row: usize,
    pub(super) a_depth: usize,
    pub(super) b: &'a [T],
    /// The distance of rows in `b`.
    pub(super) b_row: usize,
    /// Rows of `columns` elements.
    pub(super) target: &'a mut [T],
    pub(super) add: bool,
}

impl<T: Float> Kernel<T> for Product<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.columns.is_multiple_of(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let mut this = self;
        this.check();
        let mut column = 0;
        while column < this.columns {
            let pair = this.columns - column >= 2 * V::LANES;
            // Eight rows of two vectors are more sums than AVX2 has registers; AVX-512, whose vectors are two runs, has
            // 32.
            // SAFETY: the slices were checked; the caller promises the instruction set.
            unsafe {
                match (pair, V::RUNS) {
                    (true, 1) => this.columns::<V, 4, 2>(column),
                    (true, _) => this.columns::<V, 8, 2>(column),
                    (false, _) => this.columns::<V, 8, 1>(column),
                }
            }
            column += if pair { 2 } else { 1 } * V::LANES;
        }
    }
}

impl<T: Float> Product<'_, T> {
    /// Fails unless all reads and writes stay inside the slices.
    fn check(&self) {
        let last_a = (self.rows - 1) * self.a_row + (self.depth - 1) * self.a_depth;
        assert!(self.a.len() > last_a, "winograd: factor");
        let end_of_b = (self.depth - 1) * self.b_row + self.columns;
        assert!(self.b.len() >= end_of_b, "winograd: factor");
        assert!(
            self.target.len() >= self.rows * self.columns,
            "winograd: product"
        );
    }

    /// `P` vectors of columns, `R` rows at a time, and one at a time at the end.
    ///
    /// # Safety
    /// The CPU must have the instruction set of `V`, and the slices must have been checked.
    #[inline(always)]
    unsafe fn columns<V: Vector<Element = T>, const R: usize, const P: usize>(
        &mut self,
        column: usize,
    ) {
        let whole = self.rows / R * R;
        // SAFETY: as promised by the caller.
        unsafe {
            for row in (0..whole).step_by(R) {
                self.tile::<V, R, P>(row, column);
            }
            for row in whole..self.rows {
                self.tile::<V, 1, P>(row, column);
            }
        }
    }

    /// `R` rows of `P` vectors.
    ///
    /// # Safety
    /// As for [`Self::columns`].
    #[inline(always)]
    unsafe fn tile<V: Vector<Element = T>, const R: usize, const P: usize>(
        &mut self,
        row: usize,
        column: usize,
    ) {
        // SAFETY: as promised by the caller.
        unsafe {
            let first = self.a.as_ptr().add(row * self.a_row);
            let a: [*const T; R] = std::array::from_fn(|r| first.add(r * self.a_row));
            let b = self.b.as_ptr().add(column);
            let mut sums = [[V::splat(T::zero()); P]; R];
            for k in 0..self.depth {
                let b = b.add(k * self.b_row);
                let vectors: [V; P] = std::array::from_fn(|p| V::load(b.add(p * V::LANES)));
                for (sums, a) in sums.iter_mut().zip(&a) {
                    let factor = V::splat(*a.add(k * self.a_depth));
                    for (sum, vector) in sums.iter_mut().zip(&vectors) {
                        *sum = sum.add_product(factor, *vector);
                    }
                }
            }
            let target = self.target.as_mut_ptr().add(row * self.columns + column);
            for (r, sums) in sums.iter().enumerate() {
                for (p, sum) in sums.iter().enumerate() {
                    let target = target.add(r * self.columns + p * V::LANES);
                    let sum = if self.add {
                        V::load(target).add(*sum)
                    } else {
                        *sum
                    };
                    sum.store(target);
                }
            }
        }
    }
}
