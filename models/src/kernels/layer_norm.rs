//! Normalisation of each row to zero mean and unit variance.

use candle_core::Shape;

use super::parallel::{combine, from_pieces, rows_per_piece, sum_of, sum_of_products};
use super::{Float, Function, from_row_blocks, vectorized};

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` over rows of `width` elements.
pub(crate) struct LayerNormalize {
    pub(crate) width: usize,
    pub(crate) eps: f64,
    pub(crate) shape: Shape,
}

impl LayerNormalize {
    /// The mean and the reciprocal standard deviation of a row.
    #[inline(always)]
    fn moments<T: Float>(&self, row: &[T]) -> (T, T) {
        let width = T::from_f64(self.width as f64);
        let mean = sum_of(
            row,
            #[inline(always)]
            |x| x,
        ) / width;
        let variance = sum_of(
            row,
            #[inline(always)]
            |x| (x - mean) * (x - mean),
        ) / width;
        let scale = T::one() / (variance + T::from_f64(self.eps)).sqrt();
        (mean, scale)
    }

    /// With x̂ the normalised row and h = gradient * weight, the input's gradient is
    /// `(h - mean(h) - x̂ mean(h x̂)) / sqrt(variance + epsilon)`. Adds to `sums`, the gradients of
    /// weight and bias side by side.
    #[inline(always)]
    fn backward_row<T: Float>(
        &self,
        row: &[T],
        weight: &[T],
        gradient: &[T],
        result: &mut [T],
        sums: &mut [T],
    ) {
        let (mean, scale) = self.moments(row);
        let width = T::from_f64(self.width as f64);
        let (weight_sums, bias_sums) = sums.split_at_mut(self.width);
        for (i, h) in result.iter_mut().enumerate() {
            weight_sums[i] += gradient[i] * (row[i] - mean) * scale;
            bias_sums[i] += gradient[i];
            *h = gradient[i] * weight[i];
        }
        let along_mean = sum_of(
            result,
            #[inline(always)]
            |h| h,
        ) / width;
        let projection = sum_of_products(
            result,
            row,
            #[inline(always)]
            |h, x| h * (x - mean),
        );
        let along_row = projection * scale / width;
        for (h, x) in result.iter_mut().zip(row) {
            *h = (*h - along_mean - (*x - mean) * scale * along_row) * scale;
        }
    }
}

impl Function<3> for LayerNormalize {
    const NAME: &'static str = "layer-norm";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [input, weight, bias]: [&[T]; 3]) -> Vec<T> {
        let width = self.width;
        from_row_blocks(
            input.len(),
            width,
            #[inline(always)]
            |first, rows| {
                let input = &input[first * width..][..rows.len()];
                for (output, row) in rows.chunks_exact_mut(width).zip(input.chunks_exact(width)) {
                    let (mean, scale) = self.moments(row);
                    for (i, y) in output.iter_mut().enumerate() {
                        *y = (row[i] - mean) * scale * weight[i] + bias[i];
                    }
                }
            },
        )
    }

    fn backward<T: Float>(
        &self,
        [input, weight, _bias]: [&[T]; 3],
        _output: &[T],
        gradient: &[T],
        _needed: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let width = self.width;
        let piece = rows_per_piece(width) * width;
        let (result, partials) = from_pieces(input.len(), piece, |index, result| {
            let (input, gradient) = (&input[index * piece..], &gradient[index * piece..]);
            let mut sums = vec![T::zero(); 2 * width];
            vectorized(
                #[inline(always)]
                || {
                    for ((result, row), gradient) in result
                        .chunks_exact_mut(width)
                        .zip(input.chunks_exact(width))
                        .zip(gradient.chunks_exact(width))
                    {
                        self.backward_row(row, weight, gradient, result, &mut sums);
                    }
                },
            );
            sums
        });
        let mut weight_gradient = combine(partials, 2 * width);
        let bias_gradient = weight_gradient.split_off(width);
        [Some(result), Some(weight_gradient), Some(bias_gradient)]
    }
}
