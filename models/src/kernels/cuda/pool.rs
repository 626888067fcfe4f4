//! Pooling.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::{Card, CardFloat, OnCard, Pool, Values, grid, launch, size};
use crate::layer::{Reduction, Window};

/// The windows along an axis, as the kernels take them.
fn windows(card: &Card, windows: &[Window]) -> Result<CudaSlice<u32>> {
    let table: Vec<u32> = windows
        .iter()
        .flat_map(|window| [window.start, window.end, window.divisor].map(|pixels| pixels as u32))
        .collect();
    card.upload(&table)
}

/// For each of `pixels` along an axis, the first window over it and one past the last. Both ends of windows ascend.
fn windows_over(card: &Card, windows: &[Window], pixels: usize) -> Result<CudaSlice<u32>> {
    let table: Vec<u32> = (0..pixels)
        .flat_map(|pixel| {
            let first = windows.partition_point(|window| window.end <= pixel);
            let last = windows.partition_point(|window| window.start <= pixel);
            [first, last.max(first)].map(|window| window as u32)
        })
        .collect();
    card.upload(&table)
}

impl OnCard<1> for Pool {
    fn forward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        let [batch, channels, height, width] = self.shape;
        let (out_height, out_width) = (size(self.rows.len())?, size(self.columns.len())?);
        size(input.len())?;
        let length = batch * channels * self.rows.len() * self.columns.len();
        let (count, maximum) = (size(length)?, u32::from(self.reduction == Reduction::Max));
        let (rows, columns) = (windows(card, &self.rows)?, windows(card, &self.columns)?);
        let (height, width) = (size(height)?, size(width)?);
        let mut output = card.room::<T>(length)?;
        // SAFETY: the windows lie within the planes, and the output has an element for each of them.
        unsafe {
            launch!(card, card.kernel::<T>("pool")?, grid(count),
                [input, rows, columns, height, width, out_height, out_width, count, maximum] => [output])?;
        }
        Ok(card.store(output))
    }

    fn backward_on_card<T: CardFloat>(
        &self,
        card: &Card,
        [input]: [CudaView<'_, T>; 1],
        _output: Values<'_>,
        gradient: Values<'_>,
        _needed: [bool; 1],
    ) -> Result<[Option<CudaSlice<T>>; 1]> {
        let [.., height, width] = self.shape;
        let over_rows = windows_over(card, &self.rows, height)?;
        let over_columns = windows_over(card, &self.columns, width)?;
        let (rows, columns) = (windows(card, &self.rows)?, windows(card, &self.columns)?);
        let (out_height, out_width) = (size(self.rows.len())?, size(self.columns.len())?);
        let (count, maximum) = (
            size(input.len())?,
            u32::from(self.reduction == Reduction::Max),
        );
        let (height, width, gradient) = (size(height)?, size(width)?, gradient.view::<T>()?);
        let mut result = card.room::<T>(input.len())?;
        // SAFETY: as in the forward pass; the tables of windows have an entry for each row and column of a plane.
        unsafe {
            launch!(card, card.kernel::<T>("pool_gradient")?, grid(count),
                [input, gradient, rows, columns, over_rows, over_columns, height, width, out_height, out_width,
                 count, maximum] => [result])?;
        }
        Ok([Some(result)])
    }
}
