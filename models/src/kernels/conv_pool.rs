//! Convolution, maximum pooling and ReLU as one function.
//!
//! The convolved image never leaves the cache. For the backward pass, only the position of each
//! maximum is saved.

use candle_core::Shape;
use rayon::prelude::*;

use super::conv2d::convolution_gradients;
use super::convolution::{self, Geometry};
use super::parallel::{combine, images_per_task};
use super::pool::ColumnMaxima;
use super::{Float, Function, Saved, vectorized};
use crate::options::Window;

/// Stands for the pixel of an output that ReLU set to zero: it passes no gradient on.
const NO_PIXEL: u32 = u32::MAX;

/// `relu(max over windows of conv(x, W) + b)` of images x.
pub(crate) struct ConvolvePool {
    geometry: Geometry,
    rows: Vec<Window>,
    columns: Vec<Window>,
    /// The pixel of the convolved image that each output was taken from, or [`NO_PIXEL`].
    saved: Saved,
}

impl ConvolvePool {
    /// The windows are those over the convolution's output.
    pub(crate) fn new(geometry: Geometry, rows: Vec<Window>, columns: Vec<Window>) -> Self {
        Self {
            geometry,
            rows,
            columns,
            saved: Saved::default(),
        }
    }

    /// The elements of an output image.
    fn size(&self) -> usize {
        self.geometry.out_channels * self.rows.len() * self.columns.len()
    }

    fn evaluate<T: Float>(&self, [input, weight, bias]: [&[T]; 3]) -> (Vec<T>, Vec<u32>) {
        let geometry = &self.geometry;
        let forward = convolution::forward(*geometry, weight);
        let (images, size) = (images_per_task(geometry.batch), self.size());
        let mut output = vec![T::zero(); geometry.batch * size];
        let mut argmax = vec![NO_PIXEL; geometry.batch * size];
        output
            .par_chunks_mut(images * size)
            .zip(argmax.par_chunks_mut(images * size))
            .zip(input.par_chunks(images * geometry.in_size()))
            .for_each(|((outputs, argmax), inputs)| {
                let mut scratch = forward.scratch();
                let mut convolved = vec![T::zero(); geometry.out_size()];
                let results = outputs
                    .chunks_exact_mut(size)
                    .zip(argmax.chunks_exact_mut(size));
                let inputs = inputs.chunks_exact(geometry.in_size());
                for ((output, argmax), input) in results.zip(inputs) {
                    forward.images(input, Some(bias), &mut scratch, &mut convolved);
                    vectorized(
                        #[inline(always)]
                        || self.pool(&convolved, output, argmax),
                    );
                }
            });
        (output, argmax)
    }

    /// Pools one image.
    #[inline(always)]
    fn pool<T: Float>(&self, convolved: &[T], output: &mut [T], argmax: &mut [u32]) {
        let mut results = output.iter_mut().zip(argmax);
        let mut maxima = ColumnMaxima::new(self.geometry.out_width());
        for channel in 0..self.geometry.out_channels {
            let start = channel * self.geometry.out_plane();
            let plane = &convolved[start..][..self.geometry.out_plane()];
            for rows in &self.rows {
                maxima.find(plane, *rows);
                for (columns, (output, argmax)) in self.columns.iter().zip(&mut results) {
                    let pixel = maxima.index(*columns);
                    // NaN compares false and passes through.
                    let zero = plane[pixel] <= T::zero();
                    *output = if zero { T::zero() } else { plane[pixel] };
                    *argmax = if zero {
                        NO_PIXEL
                    } else {
                        (start + pixel) as u32
                    };
                }
            }
        }
    }

    /// For each channel, the sum of the gradients that ReLU lets through.
    fn bias_gradient<T: Float>(&self, gradient: &[T], argmax: &[u32]) -> Vec<T> {
        let plane = self.rows.len() * self.columns.len();
        let images = gradient
            .par_chunks_exact(self.size())
            .zip(argmax.par_chunks_exact(self.size()));
        let sums: Vec<Vec<T>> = images
            .map(|(gradient, argmax)| {
                let planes = gradient.chunks_exact(plane).zip(argmax.chunks_exact(plane));
                planes
                    .map(|(gradient, argmax)| sum(gradient, argmax))
                    .collect()
            })
            .collect();
        combine(sums, self.geometry.out_channels)
    }
}

fn sum<T: Float>(gradient: &[T], argmax: &[u32]) -> T {
    let mut sum = T::zero();
    for (gradient, argmax) in gradient.iter().zip(argmax) {
        sum += if *argmax == NO_PIXEL {
            T::zero()
        } else {
            *gradient
        };
    }
    sum
}

impl Function<3> for ConvolvePool {
    const NAME: &'static str = "conv2d-pool2d-relu";

    fn shape(&self) -> Shape {
        let Geometry {
            batch,
            out_channels,
            ..
        } = self.geometry;
        (batch, out_channels, self.rows.len(), self.columns.len()).into()
    }

    fn forward<T: Float>(&self, inputs: [&[T]; 3]) -> Vec<T> {
        let (output, argmax) = self.evaluate(inputs);
        self.saved.put(argmax);
        output
    }

    fn backward<T: Float>(
        &self,
        inputs: [&[T]; 3],
        _output: &[T],
        gradient: &[T],
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let argmax = self.saved.take::<Vec<u32>>();
        let argmax = argmax.unwrap_or_else(|| self.evaluate(inputs).1);
        let size = self.size();
        let [input_gradient, weight_gradient] = convolution_gradients(
            self.geometry,
            inputs[0],
            inputs[1],
            [input_needed, weight_needed],
            |image, target| {
                let start = image * size;
                let gradient = &gradient[start..][..size];
                target.fill(T::zero());
                for (gradient, argmax) in gradient.iter().zip(&argmax[start..][..size]) {
                    if *argmax != NO_PIXEL {
                        target[*argmax as usize] += *gradient;
                    }
                }
            },
        );
        let bias_gradient = bias_needed.then(|| self.bias_gradient(gradient, &argmax));
        [input_gradient, weight_gradient, bias_gradient]
    }
}
