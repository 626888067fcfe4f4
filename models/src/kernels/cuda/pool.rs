//! Pooling.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::{Gpu, GpuFloat, OnGpu, UntypedView, grid, launch, size};
use crate::kernels::Pool;
use crate::options::{Reduction, Window};

/// The windows along an axis, as the kernels take them.
fn windows(gpu: &Gpu, windows: &[Window]) -> Result<CudaSlice<u32>> {
    let table: Vec<u32> = windows
        .iter()
        .flat_map(|window| [window.start, window.end, window.divisor].map(|pixels| pixels as u32))
        .collect();
    gpu.upload(&table)
}

/// For each of `pixels` along an axis, the first window that covers it and one past the last.
/// Windows are sorted: both their starts and their ends ascend.
fn windows_over(gpu: &Gpu, windows: &[Window], pixels: usize) -> Result<CudaSlice<u32>> {
    let table: Vec<u32> = (0..pixels)
        .flat_map(|pixel| {
            let first = windows.partition_point(|window| window.end <= pixel);
            let last = windows.partition_point(|window| window.start <= pixel);
            [first, last.max(first)].map(|window| window as u32)
        })
        .collect();
    gpu.upload(&table)
}

impl OnGpu<1> for Pool {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        let [batch, channels, height, width] = self.shape;
        let (out_height, out_width) = (size(self.rows.len())?, size(self.columns.len())?);
        size(input.len())?;
        let length = batch * channels * self.rows.len() * self.columns.len();
        let (count, maximum) = (size(length)?, u32::from(self.reduction == Reduction::Max));
        let (rows, columns) = (windows(gpu, &self.rows)?, windows(gpu, &self.columns)?);
        let (height, width) = (size(height)?, size(width)?);
        let mut output = gpu.alloc_uninit::<T>(length)?;
        // SAFETY: the windows lie within the planes, and the output has an element for each of
        // them.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("pool")?, grid(count),
                [input, rows, columns, height, width, out_height, out_width, count, maximum]
                => [output])?;
        }
        Ok(gpu.store(output))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input]: [CudaView<'_, T>; 1],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        _needed: [bool; 1],
    ) -> Result<[Option<CudaSlice<T>>; 1]> {
        let [.., height, width] = self.shape;
        let over_rows = windows_over(gpu, &self.rows, height)?;
        let over_columns = windows_over(gpu, &self.columns, width)?;
        let (rows, columns) = (windows(gpu, &self.rows)?, windows(gpu, &self.columns)?);
        let (out_height, out_width) = (size(self.rows.len())?, size(self.columns.len())?);
        let (count, maximum) = (
            size(input.len())?,
            u32::from(self.reduction == Reduction::Max),
        );
        let (height, width, gradient) = (size(height)?, size(width)?, gradient.view::<T>()?);
        let mut result = gpu.alloc_uninit::<T>(input.len())?;
        // SAFETY: as in the forward pass; the tables of windows have an entry for each row and
        // column of a plane.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("pool_gradient")?, grid(count),
                [input, gradient, rows, columns, over_rows, over_columns, height, width,
                 out_height, out_width, count, maximum] => [result])?;
        }
        Ok([Some(result)])
    }
}
