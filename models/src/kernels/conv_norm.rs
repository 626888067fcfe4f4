//! A convolution and its batch normalisation, with the shortcut's addition and ReLU fused in.

use std::sync::OnceLock;

use candle_core::{Shape, Storage};
use rayon::prelude::*;

use super::conv2d::convolution_gradients;
use super::convolution::{self, Geometry};
use super::normalization::{
    Images, InputGradient, Moments, Normalization, PlaneMoments, plane_moments,
};
use super::parallel::from_pieces;
use super::{Float, Function, vectorized};

/// A convolution without bias and its normalisation. A node of Candle's graph has at most three
/// inputs, so the parameters are one vector: the convolution's weight, then the normalisation's
/// weight and bias. The third input, if any, is the shortcut that is added before ReLU.
pub(crate) struct ConvolveNormalize {
    pub(crate) geometry: Geometry,
    pub(crate) normalization: Normalization,
    /// The convolution's output, saved for the backward pass.
    pub(super) convolved: OnceLock<Storage>,
}

impl ConvolveNormalize {
    pub(crate) fn new(geometry: Geometry, normalization: Normalization) -> Self {
        Self {
            geometry,
            normalization,
            convolved: OnceLock::new(),
        }
    }

    /// What the layer's running statistics are moved by, once the kernel has run.
    pub(crate) fn normalized(&self) -> Normalized {
        Normalized {
            normalization: self.normalization.clone(),
            count: self.geometry.batch * self.geometry.out_plane(),
        }
    }

    pub(crate) fn output_shape(&self) -> Shape {
        let geometry = &self.geometry;
        let (height, width) = (geometry.out_height(), geometry.out_width());
        (geometry.batch, geometry.out_channels, height, width).into()
    }

    /// The weight of the convolution, and the weight and bias of its normalisation.
    fn split<'a, T>(&self, parameters: &'a [T]) -> [&'a [T]; 3] {
        let (kernel, rest) = parameters.split_at(self.geometry.weight_size());
        let (weight, bias) = rest.split_at(self.geometry.out_channels);
        [kernel, weight, bias]
    }

    /// The output.
    pub(super) fn values<T: Float>(
        &self,
        input: &[T],
        [kernel, weight, bias]: [&[T]; 3],
        shortcut: Option<&[T]>,
    ) -> Vec<T> {
        let geometry = &self.geometry;
        let forward = convolution::forward(*geometry, kernel);
        let images = convolution::images_per_task(geometry);
        let plane = geometry.out_plane();
        let (in_size, out_size) = (geometry.in_size(), geometry.out_size());
        let convolve = |task: usize, outputs: &mut [T]| -> Vec<PlaneMoments> {
            let mut scratch = forward.scratch();
            let mut moments = Vec::new();
            let inputs = &input[task * images * in_size..][..outputs.len() / out_size * in_size];
            let inputs = inputs.chunks(forward.group() * in_size);
            let outputs = outputs.chunks_mut(forward.group() * out_size);
            for (inputs, outputs) in inputs.zip(outputs) {
                forward.images(inputs, None, &mut scratch, outputs);
                if self.normalization.running.is_none() {
                    let images = outputs.par_chunks_exact(out_size);
                    moments.par_extend(images.flat_map_iter(|image| {
                        let planes = image.chunks_exact(plane);
                        vectorized(
                            #[inline(always)]
                            || planes.map(plane_moments).collect::<Vec<_>>(),
                        )
                    }));
                }
            }
            moments
        };
        let (convolved, planes) =
            from_pieces(geometry.batch * out_size, images * out_size, convolve);
        let of_batch = || Moments::combine(geometry.out_channels, plane, &planes.concat());
        let moments = self.normalization.choose_moments(of_batch);
        let images = Images::new(&convolved, out_size);
        let output = self
            .normalization
            .apply(moments, plane, images, [weight, bias], shortcut);
        self.convolved
            .get_or_init(|| Storage::Cpu(T::to_cpu_storage_owned(convolved)));
        output
    }

    /// The gradients, with that of the shortcut if there is one. The output is read if ReLU follows.
    pub(super) fn gradients<T: Float>(
        &self,
        input: &[T],
        [kernel, weight, _]: [&[T]; 3],
        output: &[T],
        gradient: &[T],
        input_needed: bool,
        shortcut: bool,
    ) -> Gradients<T> {
        let geometry = &self.geometry;
        let plane = geometry.out_plane();
        // Values of this type: the forward pass, which comes first, saved them.
        let convolved = match self.convolved.get() {
            Some(Storage::Cpu(saved)) => saved.as_slice::<T>().unwrap_or_default(),
            _ => &[],
        };
        let images = Images::new(convolved, geometry.out_size());
        let gradients = self
            .normalization
            .gradient_sums(plane, images, weight, output, gradient, shortcut);
        let relu = self.normalization.relu && gradients.masked.is_none();
        let behind = InputGradient {
            channels: &gradients.channels,
            plane,
            values: images,
            gradient: gradients.masked.as_deref().unwrap_or(gradient),
            output: relu.then_some(output),
        };
        let write = |image: usize, target: &mut [T]| behind.write(image, target);
        let needed = [input_needed, true];
        let [input_gradient, kernel_gradient] =
            convolution_gradients(*geometry, input, kernel, needed, write);
        let shortcut_gradient =
            shortcut.then(|| gradients.masked.unwrap_or_else(|| gradient.to_vec()));
        Gradients {
            input: input_gradient,
            parameters: [
                kernel_gradient.unwrap_or_default(),
                gradients.weight,
                gradients.bias,
            ],
            shortcut: shortcut_gradient,
        }
    }
}

/// A normalisation, and how many values of each channel it has seen.
pub(crate) struct Normalized {
    pub(crate) normalization: Normalization,
    pub(crate) count: usize,
}

/// The gradients of a normalised convolution.
pub(super) struct Gradients<T> {
    pub(super) input: Option<Vec<T>>,
    /// Those of the convolution's weight, and of the normalisation's weight and bias.
    pub(super) parameters: [Vec<T>; 3],
    pub(super) shortcut: Option<Vec<T>>,
}

impl Function<2> for ConvolveNormalize {
    const NAME: &'static str = "conv2d_batch_norm";

    fn shape(&self) -> Shape {
        self.output_shape()
    }

    fn forward<T: Float>(&self, [input, parameters]: [&[T]; 2]) -> Vec<T> {
        self.values(input, self.split(parameters), None)
    }

    fn backward<T: Float>(
        &self,
        [input, parameters]: [&[T]; 2],
        output: &[T],
        gradient: &[T],
        [input_needed, _]: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let parameters = self.split(parameters);
        let gradients = self.gradients(input, parameters, output, gradient, input_needed, false);
        [gradients.input, Some(gradients.parameters.concat())]
    }
}

impl Function<3> for ConvolveNormalize {
    const NAME: &'static str = "conv2d_batch_norm";

    fn shape(&self) -> Shape {
        self.output_shape()
    }

    fn forward<T: Float>(&self, [input, parameters, shortcut]: [&[T]; 3]) -> Vec<T> {
        self.values(input, self.split(parameters), Some(shortcut))
    }

    fn backward<T: Float>(
        &self,
        [input, parameters, _shortcut]: [&[T]; 3],
        output: &[T],
        gradient: &[T],
        [input_needed, ..]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let parameters = self.split(parameters);
        let gradients = self.gradients(input, parameters, output, gradient, input_needed, true);
        let parameters = gradients.parameters.concat();
        [gradients.input, Some(parameters), gradients.shortcut]
    }
}
