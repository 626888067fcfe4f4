//! Rows looked up in a table.

use candle_core::Shape;

use super::parallel::zeros;
use super::{Float, Function, from_row_blocks};

/// The rows `ids` of a table; each id has been checked to be within it.
pub(crate) struct LookUp {
    pub(crate) ids: Vec<u32>,
    pub(crate) width: usize,
    pub(crate) shape: Shape,
}

impl Function<1> for LookUp {
    const NAME: &'static str = "embedding";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [table]: [&[T]; 1]) -> Vec<T> {
        let width = self.width;
        from_row_blocks(
            self.ids.len() * width,
            width,
            #[inline(always)]
            |first, rows| {
                for (row, id) in rows.chunks_exact_mut(width).zip(&self.ids[first..]) {
                    row.copy_from_slice(&table[*id as usize * width..][..width]);
                }
            },
        )
    }

    fn backward<T: Float>(
        &self,
        [table]: [&[T]; 1],
        _output: &[T],
        gradient: &[T],
        _needed: [bool; 1],
    ) -> [Option<Vec<T>>; 1] {
        let mut result = zeros(table.len());
        for (row, id) in gradient.chunks_exact(self.width).zip(&self.ids) {
            let sums = &mut result[*id as usize * self.width..][..self.width];
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += *value;
            }
        }
        [Some(result)]
    }
}
