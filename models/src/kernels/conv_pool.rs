//! Convolution, maximum pooling and ReLU as one function: the convolved image stays in the cache, and kept is
//! only which of its pixels each output was.

use candle_core::Shape;
use rayon::prelude::*;

use super::buffer::unwritten;
use super::conv2d::convolution_gradients;
use super::convolution::{Forward, Geometry};
use super::images::images_per_task;
use super::parallel::combine;
use super::pool::ColumnMaxima;
use super::{Float, Function, Kept, vectorized};
use crate::layer::Window;

/// Marks an output that ReLU set to zero, which passes no gradient on.
const NONE: u32 = u32::MAX;

/// `relu(max over windows of conv(x, W) + b)` of images x.
pub(crate) struct ConvolvePool {
    geometry: Geometry,
    rows: Vec<Window>,
    columns: Vec<Window>,
    /// For each output the pixel of the convolved image that it is, or [`NONE`].
    kept: Kept<Vec<u32>>,
}

impl ConvolvePool {
    /// The windows are those over the convolution's output.
    pub(crate) fn new(geometry: Geometry, rows: Vec<Window>, columns: Vec<Window>) -> Self {
        Self {
            geometry,
            rows,
            columns,
            kept: Kept::default(),
        }
    }

    /// The elements of an output image.
    fn size(&self) -> usize {
        self.geometry.out_channels * self.rows.len() * self.columns.len()
    }

    fn evaluate<T: Float>(&self, [input, weight, bias]: [&[T]; 3]) -> (Vec<T>, Vec<u32>) {
        let geometry = &self.geometry;
        let forward = Forward::new(*geometry, weight);
        let (images, size) = (images_per_task(geometry.batch), self.size());
        let mut output = unwritten(geometry.batch * size);
        let mut taken = vec![NONE; geometry.batch * size];
        output
            .par_chunks_mut(images * size)
            .zip(taken.par_chunks_mut(images * size))
            .zip(input.par_chunks(images * geometry.in_size()))
            .for_each(|((outputs, taken), inputs)| {
                let mut scratch = forward.scratch();
                let mut convolved = unwritten(geometry.out_size());
                let results = outputs
                    .chunks_exact_mut(size)
                    .zip(taken.chunks_exact_mut(size));
                let inputs = inputs.chunks_exact(geometry.in_size());
                for ((output, taken), input) in results.zip(inputs) {
                    forward.image(input, Some(bias), &mut scratch, &mut convolved);
                    vectorized(|| self.pool(&convolved, output, taken));
                }
            });
        (output, taken)
    }

    /// Pools one image.
    #[inline(always)]
    fn pool<T: Float>(&self, convolved: &[T], output: &mut [T], taken: &mut [u32]) {
        let mut results = output.iter_mut().zip(taken);
        let mut maxima = ColumnMaxima::new(self.geometry.out_width());
        for channel in 0..self.geometry.out_channels {
            let start = channel * self.geometry.out_plane();
            let plane = &convolved[start..][..self.geometry.out_plane()];
            for rows in &self.rows {
                maxima.find(plane, *rows);
                for (columns, (output, taken)) in self.columns.iter().zip(&mut results) {
                    let pixel = maxima.index(*columns);
                    // NaN compares false and passes through.
                    let zero = plane[pixel] <= T::zero();
                    *output = if zero { T::zero() } else { plane[pixel] };
                    *taken = if zero { NONE } else { (start + pixel) as u32 };
                }
            }
        }
    }

    /// The sum of the gradients that get through, of each channel.
    fn bias_gradient<T: Float>(&self, gradient: &[T], taken: &[u32]) -> Vec<T> {
        let plane = self.rows.len() * self.columns.len();
        let images = gradient
            .par_chunks_exact(self.size())
            .zip(taken.par_chunks_exact(self.size()));
        let sums: Vec<Vec<T>> = images
            .map(|(gradient, taken)| {
                let planes = gradient.chunks_exact(plane).zip(taken.chunks_exact(plane));
                planes
                    .map(|(gradient, taken)| sum(gradient, taken))
                    .collect()
            })
            .collect();
        combine(sums, self.geometry.out_channels)
    }
}

fn sum<T: Float>(gradient: &[T], taken: &[u32]) -> T {
    let mut sum = T::zero();
    for (gradient, taken) in gradient.iter().zip(taken) {
        sum += if *taken == NONE { T::zero() } else { *gradient };
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
        let (output, taken) = self.evaluate(inputs);
        self.kept.put(taken);
        output
    }

    fn backward<T: Float>(
        &self,
        inputs: [&[T]; 3],
        _output: &[T],
        gradient: &[T],
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let taken = self.kept.take();
        let taken = taken.unwrap_or_else(|| self.evaluate(inputs).1);
        let (images, size) = (images_per_task(self.geometry.batch), self.size());
        let [input_gradient, weight_gradient] = convolution_gradients(
            self.geometry,
            inputs[0],
            inputs[1],
            [input_needed, weight_needed],
            |task, image, target| {
                let start = (task * images + image) * size;
                let gradient = &gradient[start..][..size];
                target.fill(T::zero());
                for (gradient, taken) in gradient.iter().zip(&taken[start..][..size]) {
                    if *taken != NONE {
                        target[*taken as usize] += *gradient;
                    }
                }
            },
        );
        let bias_gradient = bias_needed.then(|| self.bias_gradient(gradient, &taken));
        [input_gradient, weight_gradient, bias_gradient]
    }
}
