//! Causal attention: the products of all heads by cuBLAS, and the softmax between them.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result};

use super::matmul::{Matrices, MatrixLayout, Sizes, multiply};
use super::{Gpu, GpuFloat, OnGpu, UntypedView, launch, size};
use crate::kernels::Attend;

impl Attend {
    /// Where the queries, keys or values of a sequence's heads are: part 0, 1 or 2 of the packed
    /// rows.
    fn packed(&self, sequence: usize, part: usize) -> MatrixLayout {
        let row = 3 * self.width();
        MatrixLayout {
            start: sequence * self.time * row + part * self.width(),
            row,
            matrix: self.head_width,
        }
    }

    /// Where the outputs of a sequence's heads are.
    fn outputs(&self, sequence: usize) -> MatrixLayout {
        MatrixLayout {
            start: sequence * self.time * self.width(),
            row: self.width(),
            matrix: self.head_width,
        }
    }

    /// Where the scores of a sequence's heads are.
    fn scores(&self, sequence: usize) -> MatrixLayout {
        let matrix = self.time * self.time;
        MatrixLayout {
            start: sequence * self.heads * matrix,
            row: self.time,
            matrix,
        }
    }

    /// The products of all heads of a sequence: of rows of a head's width, to scores.
    fn to_scores(&self) -> Sizes {
        Sizes {
            m: self.time,
            n: self.time,
            k: self.head_width,
            batch: self.heads,
        }
    }

    /// The products of all heads of a sequence: of scores, to rows of a head's width.
    fn to_rows(&self) -> Sizes {
        Sizes {
            n: self.head_width,
            k: self.time,
            ..self.to_scores()
        }
    }

    fn alloc_scores<T: GpuFloat>(&self, gpu: &Gpu) -> Result<CudaSlice<T>> {
        let length = self.batch * self.heads * self.time * self.time;
        size(length)?;
        gpu.alloc_uninit(length)
    }

    /// Rows of scores in all sequences and heads.
    fn rows(&self) -> Result<u32> {
        size(self.batch * self.heads * self.time)
    }

    /// The attention probabilities, before dropout.
    fn probabilities_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        input: &CudaView<'_, T>,
    ) -> Result<CudaSlice<T>> {
        let mut scores = self.alloc_scores(gpu)?;
        for sequence in 0..self.batch {
            let queries = Matrices::at(input, self.packed(sequence, 0));
            let keys = Matrices::at(input, self.packed(sequence, 1)).transposed();
            // SAFETY: the matrices lie within rows of three parts, the scores within theirs.
            unsafe {
                multiply(
                    gpu,
                    self.to_scores(),
                    &queries,
                    &keys,
                    &mut scores,
                    self.scores(sequence),
                )?
            };
        }
        let (time, scale) = (size(self.time)?, self.scale::<f64>());
        let blocks = (self.rows()?, 1);
        // SAFETY: there is a block for each row of `time` scores.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("causal_softmax")?, blocks, [time, scale] => [scores])?
        };
        Ok(scores)
    }

    fn drop_out_on_gpu<T: GpuFloat>(&self, gpu: &Gpu, scores: &mut CudaSlice<T>) -> Result<()> {
        self.dropout
            .map_or(Ok(()), |mask| mask.scale_on_gpu(gpu, scores))
    }
}

impl OnGpu<1> for Attend {
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        gpu: &Gpu,
        [input]: [CudaView<'_, T>; 1],
    ) -> Result<CudaStorage> {
        let mut probabilities = self.probabilities_on_gpu(gpu, &input)?;
        self.drop_out_on_gpu(gpu, &mut probabilities)?;
        let probabilities = probabilities.as_view();
        let mut output = gpu.alloc_uninit(self.batch * self.time * self.width())?;
        for sequence in 0..self.batch {
            let weights = Matrices::at(&probabilities, self.scores(sequence));
            let values = Matrices::at(&input, self.packed(sequence, 2));
            // SAFETY: as for the scores; the outputs' rows have one part.
            unsafe {
                multiply(
                    gpu,
                    self.to_rows(),
                    &weights,
                    &values,
                    &mut output,
                    self.outputs(sequence),
                )?
            };
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
        let gradient = gradient.view::<T>()?;
        let mut probabilities = self.probabilities_on_gpu(gpu, &input)?;
        let mut scores = self.alloc_scores::<T>(gpu)?;
        for sequence in 0..self.batch {
            let gradients = Matrices::at(&gradient, self.outputs(sequence));
            let values = Matrices::at(&input, self.packed(sequence, 2)).transposed();
            // SAFETY: as in the forward pass, here and below.
            unsafe {
                multiply(
                    gpu,
                    self.to_scores(),
                    &gradients,
                    &values,
                    &mut scores,
                    self.scores(sequence),
                )?
            };
        }
        self.drop_out_on_gpu(gpu, &mut scores)?;
        let (time, scale) = (size(self.time)?, self.scale::<f64>());
        let blocks = (self.rows()?, 1);
        // SAFETY: there is a block for each row of `time` probabilities and gradients.
        unsafe {
            launch!(gpu, gpu.kernel::<T>("causal_softmax_gradient")?, blocks,
                [probabilities, time, scale] => [scores])?;
        }
        self.drop_out_on_gpu(gpu, &mut probabilities)?;
        let (probabilities, scores) = (probabilities.as_view(), scores.as_view());
        let mut result = gpu.alloc_uninit(input.len())?;
        for sequence in 0..self.batch {
            let place = self.scores(sequence);
            let queries = Matrices::at(&input, self.packed(sequence, 0));
            let keys = Matrices::at(&input, self.packed(sequence, 1));
            let gradients = Matrices::at(&gradient, self.outputs(sequence));
            for (part, a, b) in [
                (0, Matrices::at(&scores, place), keys),
                (1, Matrices::at(&scores, place).transposed(), queries),
                (
                    2,
                    Matrices::at(&probabilities, place).transposed(),
                    gradients,
                ),
            ] {
                // SAFETY: as above; the result is laid out like the input.
                unsafe {
                    multiply(
                        gpu,
                        self.to_rows(),
                        &a,
                        &b,
                        &mut result,
                        self.packed(sequence, part),
                    )?
                };
            }
        }
        Ok([Some(result)])
    }
}
