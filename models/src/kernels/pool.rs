//! Maximum and average pooling over windows given per axis.

use candle_core::Shape;
use rayon::prelude::*;

use super::parallel::zeros;
use super::{Float, Function, vectorized};
use crate::options::{Reduction, Window};

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
        let mut maxima = ColumnMaxima::new(width);
        for rows in &self.rows {
            if self.reduction == Reduction::Max {
                maxima.find(input, *rows);
            }
            for (columns, output) in self.columns.iter().zip(&mut outputs) {
                *output = match self.reduction {
                    Reduction::Max => input[maxima.index(*columns)],
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
        let mut maxima = ColumnMaxima::new(width);
        for rows in &self.rows {
            if self.reduction == Reduction::Max {
                maxima.find(input, *rows);
            }
            for (columns, gradient) in self.columns.iter().zip(&mut gradients) {
                match self.reduction {
                    Reduction::Max => result[maxima.index(*columns)] += *gradient,
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

    pub(crate) fn output_shape(&self) -> Shape {
        let [batch, channels, ..] = self.shape;
        (batch, channels, self.rows.len(), self.columns.len()).into()
    }

    /// Pixels of a channel of the input.
    pub(super) fn plane(&self) -> usize {
        self.shape[2] * self.shape[3]
    }
}

impl Function<1> for Pool {
    const NAME: &'static str = "pool2d";

    fn shape(&self) -> Shape {
        self.output_shape()
    }

    fn forward<T: Float>(&self, [input]: [&[T]; 1]) -> Vec<T> {
        let pooled = self.rows.len() * self.columns.len();
        let mut output = zeros(self.shape[0] * self.shape[1] * pooled);
        output
            .par_chunks_exact_mut(pooled)
            .zip(input.par_chunks_exact(self.plane()))
            .with_min_len(8)
            .for_each(|(output, input)| {
                vectorized(
                    #[inline(always)]
                    || self.pool(input, output),
                )
            });
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
        let mut result = zeros(input.len());
        result
            .par_chunks_exact_mut(self.plane())
            .zip(input.par_chunks_exact(self.plane()))
            .zip(gradient.par_chunks_exact(pooled))
            .with_min_len(8)
            .for_each(|((result, input), gradient)| {
                vectorized(
                    #[inline(always)]
                    || self.distribute(input, gradient, result),
                );
            });
        [Some(result)]
    }
}

/// The largest pixel of each column of a row of windows, the first of equal ones. All columns are
/// compared at once, in vectors; then a window only has to compare the maxima of its columns.
pub(super) struct ColumnMaxima<T> {
    values: Vec<T>,
    indices: Vec<u32>,
}

impl<T: Float> ColumnMaxima<T> {
    pub(super) fn new(width: usize) -> Self {
        Self {
            values: vec![T::zero(); width],
            indices: vec![0; width],
        }
    }

    /// Finds them in `rows`.
    #[inline(always)]
    pub(super) fn find(&mut self, plane: &[T], rows: Window) {
        let width = self.values.len();
        for row in rows.start..rows.end {
            let pixels = &plane[row * width..][..width];
            let first = (row * width) as u32;
            let columns = self.values.iter_mut().zip(&mut self.indices);
            for ((best, index), (i, value)) in columns.zip((first..).zip(pixels)) {
                let wins = (row == rows.start) | (*value > *best) | is_nan(*value);
                *index = if wins { i } else { *index };
                *best = if wins { *value } else { *best };
            }
        }
    }

    /// The index of the largest value of the window over `columns`: the first of equal ones, or the
    /// last NaN if there is one. There are no branches, which the CPU would mispredict half of the
    /// time.
    #[inline(always)]
    pub(super) fn index(&self, columns: Window) -> usize {
        let (mut best, mut index) = (self.values[columns.start], self.indices[columns.start]);
        for column in columns.start + 1..columns.end {
            let (value, i) = (self.values[column], self.indices[column]);
            let wins = (value > best)
                | ((value == best) & (i < index))
                | (is_nan(value) & (!is_nan(best) | (i > index)));
            index = if wins { i } else { index };
            best = if wins { value } else { best };
        }
        index as usize
    }
}

#[inline(always)]
#[allow(clippy::eq_op)]
fn is_nan<T: Float>(value: T) -> bool {
    value != value
}

#[inline(always)]
fn weight<T: Float>(rows: Window, columns: Window) -> T {
    T::from_f64(1.0 / (rows.divisor * columns.divisor) as f64)
}
