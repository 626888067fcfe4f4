//! Convolution of a batch, with the bias fused in.

use candle_core::Shape;
use rayon::prelude::*;

use super::buffer::unwritten;
use super::convolution::{Forward, Geometry, InputGradient, WeightGradient};
use super::images::images_per_task;
use super::parallel::{combine, sum_of};
use super::{Float, Function, vectorized};

/// The convolution of `[batch, in_channels, height, width]` with a weight and, as third input, a bias.
pub(crate) struct Convolve(pub(crate) Geometry);

impl Convolve {
    fn output_shape(&self) -> Shape {
        let Self(geometry) = self;
        let (height, width) = (geometry.out_height(), geometry.out_width());
        (geometry.batch, geometry.out_channels, height, width).into()
    }

    fn convolve<T: Float>(&self, input: &[T], weight: &[T], bias: Option<&[T]>) -> Vec<T> {
        let Self(geometry) = self;
        let forward = Forward::new(*geometry, weight);
        let images = images_per_task(geometry.batch);
        let mut output = unwritten(geometry.batch * geometry.out_size());
        output
            .par_chunks_mut(images * geometry.out_size())
            .zip(input.par_chunks(images * geometry.in_size()))
            .for_each(|(outputs, inputs)| {
                let mut scratch = forward.scratch();
                let outputs = outputs.chunks_exact_mut(geometry.out_size());
                for (output, input) in outputs.zip(inputs.chunks_exact(geometry.in_size())) {
                    forward.image(input, bias, &mut scratch, output);
                }
            });
        output
    }

    fn gradients<T: Float>(
        &self,
        input: &[T],
        weight: &[T],
        gradient: &[T],
        needed: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let gradients = |task: usize, image: usize| {
            let size = self.0.out_size();
            let start = (task * images_per_task(self.0.batch) + image) * size;
            &gradient[start..][..size]
        };
        convolution_gradients(self.0, input, weight, needed, |task, image, target| {
            target.copy_from_slice(gradients(task, image));
        })
    }
}

/// The gradients with respect to a convolution's input and weight, where `write_gradient` writes the
/// gradient with respect to the output of a task's image.
pub(crate) fn convolution_gradients<T: Float>(
    geometry: Geometry,
    input: &[T],
    weight: &[T],
    [input_needed, weight_needed]: [bool; 2],
    write_gradient: impl Fn(usize, usize, &mut [T]) + Sync,
) -> [Option<Vec<T>>; 2] {
    let images = images_per_task(geometry.batch);
    let in_size = geometry.in_size();
    let input_gradient = input_needed.then(|| InputGradient::new(geometry, weight));
    let weight_gradient = weight_needed.then(|| WeightGradient::new(geometry));
    let mut result = unwritten(if input_needed { input.len() } else { 0 });
    let task = |task: usize, inputs: &[T], results: &mut [T]| {
        let mut gradient = unwritten(geometry.out_size());
        let mut frames = input_gradient.as_ref().map(InputGradient::scratch);
        let mut state = weight_gradient
            .as_ref()
            .map(|weight| (weight.scratch(), weight.zeros()));
        let mut results = results.chunks_exact_mut(in_size);
        for (image, input) in inputs.chunks_exact(in_size).enumerate() {
            write_gradient(task, image, &mut gradient);
            if let (Some(step), Some(frames)) = (&input_gradient, &mut frames)
                && let Some(result) = results.next()
            {
                step.image(&gradient, frames, result);
            }
            if let (Some(step), Some((scratch, sum))) = (&weight_gradient, &mut state) {
                step.image(input, &gradient, scratch, sum);
            }
        }
        state.map(|(_, sum)| sum)
    };
    let inputs = input.par_chunks(images * in_size).enumerate();
    let sums: Option<Vec<Vec<T>>> = if input_needed {
        inputs
            .zip(result.par_chunks_mut(images * in_size))
            .map(|((index, inputs), results)| task(index, inputs, results))
            .collect()
    } else {
        inputs
            .map(|(index, inputs)| task(index, inputs, &mut []))
            .collect()
    };
    let weight_result = weight_gradient.zip(sums).map(|(step, sums)| {
        let size = sums.first().map_or(0, Vec::len);
        step.unpack(&combine(sums, size))
    });
    [input_needed.then_some(result), weight_result]
}

impl Function<2> for Convolve {
    const NAME: &'static str = "conv2d";

    fn shape(&self) -> Shape {
        self.output_shape()
    }

    fn forward<T: Float>(&self, [input, weight]: [&[T]; 2]) -> Vec<T> {
        self.convolve(input, weight, None)
    }

    fn backward<T: Float>(
        &self,
        [input, weight]: [&[T]; 2],
        _output: &[T],
        gradient: &[T],
        needed: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        self.gradients(input, weight, gradient, needed)
    }
}

impl Function<3> for Convolve {
    const NAME: &'static str = "conv2d";

    fn shape(&self) -> Shape {
        self.output_shape()
    }

    fn forward<T: Float>(&self, [input, weight, bias]: [&[T]; 3]) -> Vec<T> {
        self.convolve(input, weight, Some(bias))
    }

    fn backward<T: Float>(
        &self,
        [input, weight, _bias]: [&[T]; 3],
        _output: &[T],
        gradient: &[T],
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let needed = [input_needed, weight_needed];
        let [input_gradient, weight_gradient] = self.gradients(input, weight, gradient, needed);
        let bias_gradient = bias_needed.then(|| {
            let sums: Vec<Vec<T>> = gradient
                .par_chunks_exact(self.0.out_size())
                .map(|image| {
                    let planes = image.chunks_exact(self.0.out_plane());
                    vectorized(|| planes.map(|plane| sum_of(plane, |g| g)).collect())
                })
                .collect();
            combine(sums, self.0.out_channels)
        });
        [input_gradient, weight_gradient, bias_gradient]
    }
}
