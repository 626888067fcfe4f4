//! Convolution of a batch, with the bias fused in.

use candle_core::Shape;
use rayon::prelude::*;

use super::convolution::{Forward, Geometry, InputGradient, WeightGradient};
use super::parallel::{combine, from_pieces, images_per_task, sum_of};
use super::{Float, Function, vectorized};

/// The convolution of `[batch, in_channels, height, width]` with a weight and, as third input, a
/// bias.
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
        let (in_size, out_size) = (geometry.in_size(), geometry.out_size());
        from_pieces(
            geometry.batch * out_size,
            images * out_size,
            |task, outputs| {
                let mut scratch = forward.scratch();
                let inputs = input[task * images * in_size..].chunks_exact(in_size);
                for (output, input) in outputs.chunks_exact_mut(out_size).zip(inputs) {
                    forward.image(input, bias, &mut scratch, output);
                }
            },
        )
        .0
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

/// The gradients with respect to a convolution's input and weight. `write_gradient` is given a
/// task, an image within it, and where to write the gradient with respect to that image's output.
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
    let task = |task: usize, inputs: &[T], results: &mut [T]| {
        let mut gradient = vec![T::zero(); geometry.out_size()];
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
    let piece = images * in_size;
    let (result, sums) = if input_needed {
        let (result, sums) = from_pieces(input.len(), piece, |index, results| {
            task(index, &input[index * piece..][..results.len()], results)
        });
        (Some(result), sums)
    } else {
        let inputs = input.par_chunks(piece).enumerate();
        let sums = inputs.map(|(index, inputs)| task(index, inputs, &mut []));
        (None, sums.collect())
    };
    let sums: Option<Vec<Vec<T>>> = sums.into_iter().collect();
    let weight_result = weight_gradient.zip(sums).map(|(step, sums)| {
        let size = sums.first().map_or(0, Vec::len);
        step.unpack(&combine(sums, size))
    });
    [result, weight_result]
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
