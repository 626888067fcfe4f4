//! Rows looked up in a table.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::{Gpu, GpuFloat, OnGpu, UntypedView, grid, launch, size};
use crate::kernels::LookUp;

impl OnGpu<1> for LookUp {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [table]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        let (count, width) = (size(self.ids.len() * self.width)?, size(self.width)?);
        size(table.len())?;
        let ids = gpu.upload(&self.ids)?;
        let mut output = gpu.alloc_uninit::<T>(count as usize)?;
        // SAFETY: the ids are those of rows of the table, and the output has a row for each.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("look_up")?, grid(count),
                [table, ids, width, count] => [output])?;
        }
        Ok(gpu.store(output))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [table]: [CudaView<'_, T>; 1],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        _needed: [bool; 1],
    ) -> Result<[Option<CudaSlice<T>>; 1]> {
        let mut result = gpu.zeros::<T>(table.len())?;
        let LookUps {
            rows,
            starts,
            positions,
        } = LookUps::of(&self.ids);
        let blocks = (size(rows.len())?, 1);
        let [rows, starts, positions] = [
            gpu.upload(&rows)?,
            gpu.upload(&starts)?,
            gpu.upload(&positions)?,
        ];
        let (gradient, width) = (gradient.view::<T>()?, size(self.width)?);
        // SAFETY: the gradient has a row for each position, the result for each row of the table.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("look_up_gradient")?, blocks,
                [gradient, rows, starts, positions, width] => [result])?;
        }
        Ok([Some(result)])
    }
}

/// Which positions looked up the same row.
struct LookUps {
    /// The rows that were looked up, each once.
    rows: Vec<u32>,
    /// Where the positions of each row start; one more entry says where the last ones end.
    starts: Vec<u32>,
    /// The positions row by row, each row's in ascending order.
    positions: Vec<u32>,
}

impl LookUps {
    fn of(ids: &[u32]) -> Self {
        let mut positions: Vec<u32> = (0..ids.len() as u32).collect();
        // Stable, so that the order of the sums is fixed.
        positions.sort_by_key(|position| ids[*position as usize]);
        let (mut rows, mut starts) = (Vec::new(), Vec::new());
        for (place, position) in positions.iter().enumerate() {
            let row = ids[*position as usize];
            if rows.last() != Some(&row) {
                rows.push(row);
                starts.push(place as u32);
            }
        }
        starts.push(positions.len() as u32);
        Self {
            rows,
            starts,
            positions,
        }
    }
}
