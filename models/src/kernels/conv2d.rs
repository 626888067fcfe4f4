//! Convolution of a batch, with the bias fused in.

use candle_core::Shape;
use rayon::prelude::*;

use super::convolution::{self, Geometry};
use super::parallel::{combine, from_pieces, sum_of};
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

    pub(super) fn convolve<T: Float>(
        &self,
        input: &[T],
        weight: &[T],
        bias: Option<&[T]>,
    ) -> Vec<T> {
        let Self(geometry) = self;
        let forward = convolution::forward(*geometry, weight);
        let images = convolution::images_per_task(geometry);
        let (in_size, out_size) = (geometry.in_size(), geometry.out_size());
        let convolve = |task: usize, outputs: &mut [T]| {
            let inputs = &input[task * images * in_size..][..outputs.len() / out_size * in_size];
            forward.images(inputs, bias, &mut forward.scratch(), outputs);
        };
        from_pieces(geometry.batch * out_size, images * out_size, convolve).0
    }

    fn gradients<T: Float>(
        &self,
        input: &[T],
        weight: &[T],
        gradient: &[T],
        needed: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let size = self.0.out_size();
        convolution_gradients(self.0, input, weight, needed, |image, target| {
            target.copy_from_slice(&gradient[image * size..][..size]);
        })
    }
}

/// The gradients with respect to a convolution's input and weight. `write_gradient` is given an
/// image of the batch, and where to write the gradient with respect to its output.
pub(crate) fn convolution_gradients<T: Float>(
    geometry: Geometry,
    input: &[T],
    weight: &[T],
    [input_needed, weight_needed]: [bool; 2],
    write_gradient: impl Fn(usize, &mut [T]) + Sync,
) -> [Option<Vec<T>>; 2] {
    let images = convolution::images_per_task(&geometry);
    let in_size = geometry.in_size();
    let input_gradient = input_needed.then(|| convolution::input_gradient(geometry, weight));
    let weight_gradient = weight_needed.then(|| convolution::weight_gradient::<T>(geometry));
    let groups = [
        input_gradient.as_ref().map(|step| step.group()),
        weight_gradient.as_ref().map(|step| step.group()),
    ];
    let group = groups.into_iter().flatten().max().unwrap_or(1);
    let task = |task: usize, inputs: &[T], results: &mut [T]| {
        let mut gradients = vec![T::zero(); group.min(images) * geometry.out_size()];
        let mut input_state = input_gradient.as_ref().map(|step| (step, step.scratch()));
        let mut weight_state = weight_gradient
            .as_ref()
            .map(|step| (step, step.scratch(), step.zeros()));
        let mut results = results.chunks_mut(group * in_size);
        for (first, inputs) in inputs.chunks(group * in_size).enumerate() {
            let gradients = &mut gradients[..inputs.len() / in_size * geometry.out_size()];
            let first = task * images + first * group;
            let each = gradients.par_chunks_exact_mut(geometry.out_size());
            each.enumerate()
                .for_each(|(image, gradient)| write_gradient(first + image, gradient));
            if let (Some((step, scratch)), Some(results)) = (&mut input_state, results.next()) {
                step.images(gradients, None, scratch, results);
            }
            if let Some((step, scratch, sum)) = &mut weight_state {
                step.images(inputs, gradients, scratch, sum);
            }
        }
        weight_state.map(|(step, _, sum)| step.finish(sum))
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
                    vectorized(
                        #[inline(always)]
                        || {
                            planes
                                .map(|plane| {
                                    sum_of(
                                        plane,
                                        #[inline(always)]
                                        |g| g,
                                    )
                                })
                                .collect()
                        },
                    )
                })
                .collect();
            combine(sums, self.0.out_channels)
        });
        [input_gradient, weight_gradient, bias_gradient]
    }
}
