//! Matrices with rows and columns exchanged: the step between planes and channels that come last.

use crate::kernels::Float;
use crate::kernels::vector::{SQUARE, Vector};

/// Rows of a matrix in a slice.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    values: &'a [T],
    pitch: usize,
    rows: usize,
    columns: usize,
}

impl<'a, T: Float> Matrix<'a, T> {
    pub(super) fn new(values: &'a [T], pitch: usize, rows: usize, columns: usize) -> Self {
        assert!(
            values.len() >= (rows - 1) * pitch + columns,
            "winograd: matrix"
        );
        Self {
            values,
            pitch,
            rows,
            columns,
        }
    }

    /// Writes it with rows and columns exchanged, in blocks. On the side whose lines are further apart, a line is gone
    /// through before the next.
    ///
    /// # Safety
    /// The CPU must have the instruction set of `V`.
    #[inline(always)]
    pub(super) unsafe fn transpose<V: Vector<Element = T>>(&self, target: &mut [T], pitch: usize) {
        let enough = (self.columns - 1) * pitch + self.rows;
        assert!(target.len() >= enough, "winograd: target");
        let (rows, columns) = (self.rows / SQUARE, self.columns / SQUARE);
        for block in 0..rows * columns {
            let (row, column) = if self.pitch > pitch {
                (block / columns * SQUARE, block % columns * SQUARE)
            } else {
                (block % rows * SQUARE, block / rows * SQUARE)
            };
            let source = &self.values[row * self.pitch + column..];
            let target = &mut target[column * pitch + row..];
            // SAFETY: both slices hold the block; the caller promises the instruction set.
            unsafe { V::transpose(source.as_ptr(), self.pitch, target.as_mut_ptr(), pitch) };
        }
        for row in 0..self.rows {
            let first = if row < rows * SQUARE {
                columns * SQUARE
            } else {
                0
            };
            for column in first..self.columns {
                target[column * pitch + row] = self.values[row * self.pitch + column];
            }
        }
    }
}
