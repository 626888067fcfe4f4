//! Affine maps, and sums over the rows of a matrix.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::matmul::{Matrices, MatrixLayout, Sizes, multiply};
use super::{Gpu, GpuFloat, OnGpu, THREADS, UntypedView, grid, launch, size};
use crate::kernels::Affine;
use crate::options::WeightLayout;

impl Affine {
    /// The weight as the matrix that inputs are multiplied with.
    fn matrix_on_gpu<'a, T>(&self, weight: &CudaView<'a, T>) -> Matrices<'a, T> {
        match self.layout {
            WeightLayout::OutputInput => Matrices::one(weight, self.inputs).transposed(),
            WeightLayout::InputOutput => Matrices::one(weight, self.outputs),
        }
    }

    /// The output without a bias.
    pub(super) fn product_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        input: CudaView<'_, T>,
        weight: &CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let activated = self.activated_on_gpu(gpu, input.slice(..))?;
        let input = activated.as_ref().map_or(input, CudaSlice::as_view);
        let sizes = Sizes {
            m: self.rows,
            n: self.outputs,
            k: self.inputs,
            batch: 1,
        };
        let input = Matrices::one(&input, self.inputs);
        self.write(gpu, sizes, &input, &self.matrix_on_gpu(weight))
    }

    fn activated_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        input: CudaView<'_, T>,
    ) -> Result<Option<CudaSlice<T>>> {
        let activation = self.activation;
        activation
            .map(|activation| activation.values_on_gpu(gpu, input))
            .transpose()
    }

    /// The gradients with respect to input and weight.
    pub(super) fn gradients_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight]: [CudaView<'_, T>; 2],
        gradient: &CudaView<'_, T>,
        [input_needed, weight_needed]: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        let gradients = || Matrices::one(gradient, self.outputs);
        let weight_gradient = if weight_needed {
            let activated = self.activated_on_gpu(gpu, input.slice(..))?;
            let input = activated
                .as_ref()
                .map_or(input.slice(..), CudaSlice::as_view);
            let inputs = Matrices::one(&input, self.inputs);
            let sizes = |m, n| Sizes {
                m,
                n,
                k: self.rows,
                batch: 1,
            };
            Some(match self.layout {
                WeightLayout::OutputInput => self.write(
                    gpu,
                    sizes(self.outputs, self.inputs),
                    &gradients().transposed(),
                    &inputs,
                )?,
                WeightLayout::InputOutput => self.write(
                    gpu,
                    sizes(self.inputs, self.outputs),
                    &inputs.transposed(),
                    &gradients(),
                )?,
            })
        } else {
            None
        };
        let input_gradient = if input_needed {
            let sizes = Sizes {
                m: self.rows,
                n: self.inputs,
                k: self.outputs,
                batch: 1,
            };
            let weight = self.matrix_on_gpu(&weight).transposed();
            let result = self.write(gpu, sizes, &gradients(), &weight)?;
            Some(match self.activation {
                Some(activation) => activation.derivatives_on_gpu(gpu, input, result.as_view())?,
                None => result,
            })
        } else {
            None
        };
        Ok([input_gradient, weight_gradient])
    }

    /// One product, in a matrix of its own.
    fn write<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        sizes: Sizes,
        a: &Matrices<'_, T>,
        b: &Matrices<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let mut output = gpu.alloc_uninit(sizes.m * sizes.n)?;
        let place = MatrixLayout {
            row: sizes.n,
            ..MatrixLayout::default()
        };
        // SAFETY: inputs, weights and gradients have the sizes of this map.
        unsafe { multiply(gpu, sizes, a, b, &mut output, place)? };
        Ok(output)
    }
}

impl OnGpu<2> for Affine {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight]: [CudaView<'_, T>; 2],
    ) -> Result<CudaStorage> {
        Ok(gpu.store(self.product_on_gpu(gpu, input, &weight)?))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        inputs: [CudaView<'_, T>; 2],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        needed: [bool; 2],
    ) -> Result<[Option<CudaSlice<T>>; 2]> {
        self.gradients_on_gpu(gpu, inputs, &gradient.view()?, needed)
    }
}

impl OnGpu<3> for Affine {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, bias]: [CudaView<'_, T>; 3],
    ) -> Result<CudaStorage> {
        let mut output = self.product_on_gpu(gpu, input, &weight)?;
        add_bias(gpu, bias, 1, &mut output)?;
        Ok(gpu.store(output))
    }

    fn backward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input, weight, _bias]: [CudaView<'_, T>; 3],
        _output: UntypedView<'_>,
        gradient: UntypedView<'_>,
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> Result<[Option<CudaSlice<T>>; 3]> {
        let gradient = gradient.view()?;
        let needed = [input_needed, weight_needed];
        let [input, weight] = self.gradients_on_gpu(gpu, [input, weight], &gradient, needed)?;
        let bias = bias_needed.then(|| column_sums(gpu, gradient, self.rows, self.outputs));
        Ok([input, weight, bias.transpose()?])
    }
}

/// Adds its bias to each channel of `values`: planes of `plane` elements, one for each channel in
/// turn.
pub(super) fn add_bias<T: GpuFloat>(
    gpu: &Gpu,
    bias: CudaView<'_, T>,
    plane: usize,
    values: &mut CudaSlice<T>,
) -> Result<()> {
    let (count, channels, plane) = (size(values.len())?, size(bias.len())?, size(plane)?);
    let mut values = values.as_view_mut();
    // SAFETY: the vector has `count` elements, the bias `channels`.
    unsafe {
        launch!(gpu, gpu.kernel::<T>("add_bias")?, grid(count),
            [bias, count, plane, channels] => [values])
    }
}

/// Rows of a matrix that one block adds up.
const PIECE: usize = 64;

/// In how many pieces the rows of a matrix are summed, and how many rows a piece has.
pub(super) fn pieces(rows: usize) -> Result<(u32, u32)> {
    let piece = rows.div_ceil(1024).max(PIECE);
    Ok((size(rows.div_ceil(piece))?, size(piece)?))
}

fn column_sums<T: GpuFloat>(
    gpu: &Gpu,
    values: CudaView<'_, T>,
    rows: usize,
    width: usize,
) -> Result<CudaSlice<T>> {
    let (pieces, piece) = pieces(rows)?;
    let blocks = (size(width)?.div_ceil(THREADS), pieces);
    let mut partials = gpu.alloc_uninit::<T::Real>(pieces as usize * width)?;
    let (rows, columns) = (size(rows)?, size(width)?);
    // SAFETY: the values are `rows` rows of `columns`, and each piece leaves a row of sums.
    unsafe {
        launch!(gpu, gpu.kernel::<T>("column_sums")?, blocks,
            [values, rows, columns, piece] => [partials])?;
    }
    column_totals(gpu, partials.as_view(), pieces, width)
}

/// The column sums of the whole matrix, from those of its `pieces`.
pub(super) fn column_totals<T: GpuFloat>(
    gpu: &Gpu,
    partials: CudaView<'_, T::Real>,
    pieces: u32,
    width: usize,
) -> Result<CudaSlice<T>> {
    let columns = size(width)?;
    let mut totals = gpu.alloc_uninit::<T>(width)?;
    // SAFETY: the partial sums are `pieces` rows of `columns`.
    unsafe {
        launch!(gpu, gpu.kernel::<T>("column_totals")?, grid(columns),
            [partials, pieces, columns] => [totals])?;
    }
    Ok(totals)
}
