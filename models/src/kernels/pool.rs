//! Maximum and average pooling over windows given per axis.

use candle_core::Shape;
use rayon::prelude::*;

use super::{Float, Function, vectorized};
use crate::layer::{Reduction, Window};

/// Pooling of every plane of `[batch, channels, height, width]`.
pub(crate) struct Pool {
    pub(crate) reduction: Reduction,
    pub(crate) shape: [usize; 4],
    pub(crate) rows: Vec<Window>,
    pub(crate) columns: Vec<Window>,
}

impl Pool {
    fn pool<T: Float>(&self, input: &[T], output: &mut [T]) {
        let width = self.shape[3];
        let mut outputs = output.iter_mut();
        for rows in &self.rows {
            for (columns, output) in self.columns.iter().zip(&mut outputs) {
                *output = match self.reduction {
                    Reduction::Max => input[largest(input, width, *rows, *columns)],
                    Reduction::Average => {
                        let mut sum = T::zero();
                        for row in rows.start..rows.end {
                            let line = &input[row * width..][columns.start..columns.end];
                            line.iter().for_each(|value| sum += *value);
                        }
                        sum * weight(*rows, *columns)
                    }
                };
            }
        }
    }

    fn distribute<T: Float>(&self, input: &[T], gradient: &[T], result: &mut [T]) {
        let width = self.shape[3];
        let mut gradients = gradient.iter();
        for rows in &self.rows {
            for (columns, gradient) in self.columns.iter().zip(&mut gradients) {
                match self.reduction {
                    Reduction::Max => result[largest(input, width, *rows, *columns)] += *gradient,
                    Reduction::Average => {
                        let share = *gradient * weight(*rows, *columns);
                        for row in rows.start..rows.end {
                            let line = &mut result[row * width..][columns.start..columns.end];
                            line.iter_mut().for_each(|value| *value += share);
                        }
                    }
                }
            }
        }
    }

    fn plane(&self) -> usize {
        self.shape[2] * self.shape[3]
    }
}

impl Function<1> for Pool {
    const NAME: &'static str = "pool2d";

    fn shape(&self) -> Shape {
        let [batch, channels, ..] = self.shape;
        (batch, channels, self.rows.len(), self.columns.len()).into()
    }

    fn forward<T: Float>(&self, [input]: [&[T]; 1]) -> Vec<T> {
        let pooled = self.rows.len() * self.columns.len();
        let mut output = vec![T::zero(); self.shape[0] * self.shape[1] * pooled];
        output
            .par_chunks_exact_mut(pooled)
            .zip(input.par_chunks_exact(self.plane()))
            .with_min_len(8)
            .for_each(|(output, input)| vectorized(|| self.pool(input, output)));
        output
    }

    fn backward<T: Float>(
        &self,
        [input]: [&[T]; 1],
        _output: &[T],
        gradient: &[T],
        _needed: [bool; 1],
    ) -> [Option<Vec<T>>; 1] {
        let pooled = self.rows.len() * self.columns.len();
        let mut result = vec![T::zero(); input.len()];
        result
            .par_chunks_exact_mut(self.plane())
            .zip(input.par_chunks_exact(self.plane()))
            .zip(gradient.par_chunks_exact(pooled))
            .with_min_len(8)
            .for_each(|((result, input), gradient)| {
                vectorized(|| self.distribute(input, gradient, result));
            });
        [Some(result)]
    }
}

/// The index of the window's first largest value; NaN counts as largest.
#[inline(always)]
fn largest<T: Float>(input: &[T], width: usize, rows: Window, columns: Window) -> usize {
    let mut index = rows.start * width + columns.start;
    let mut best = input[index];
    for row in rows.start..rows.end {
        for i in row * width + columns.start..row * width + columns.end {
            let value = input[i];
            #[allow(clippy::eq_op)]
            if value > best || value != value {
                (index, best) = (i, value);
            }
        }
    }
    index
}

#[inline(always)]
fn weight<T: Float>(rows: Window, columns: Window) -> T {
    T::from_f64(1.0 / (rows.divisor * columns.divisor) as f64)
}
