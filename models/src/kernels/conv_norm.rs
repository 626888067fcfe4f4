//! A convolution and its batch normalisation, with the shortcut's addition and ReLU fused in.

use std::sync::OnceLock;

use candle_core::{Shape, Storage};

use super::conv2d::convolution_gradients;
use super::convolution::{Forward, Geometry};
use super::normalization::{Normalization, PlaneMoments, plane_moments};
use super::parallel::{from_pieces, images_per_task};
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

    pub(crate) fn output_shape(&self) -> Shape {
        let geometry = &self.geometry;
        let (height, width) = (geometry.out_height(), geometry.out_width());
        (geometry.batch, geometry.out_channels, height, width).into()
    }

    fn split<'a, T>(&self, parameters: &'a [T]) -> [&'a [T]; 3] {
        let (kernel, rest) = parameters.split_at(self.geometry.weight_size());
        let (weight, bias) = rest.split_at(self.geometry.out_channels);
        [kernel, weight, bias]
    }

    fn values<T: Float>(&self, input: &[T], parameters: &[T], shortcut: Option<&[T]>) -> Vec<T> {
        let geometry = &self.geometry;
        let [kernel, weight, bias] = self.split(parameters);
        let forward = Forward::new(*geometry, kernel);
        let images = images_per_task(geometry.batch);
        let plane = geometry.out_plane();
        let (in_size, out_size) = (geometry.in_size(), geometry.out_size());
        let convolve = |task: usize, outputs: &mut [T]| -> Vec<PlaneMoments> {
            let mut scratch = forward.scratch();
            let mut moments = Vec::new();
            let inputs = input[task * images * in_size..].chunks_exact(in_size);
            for (output, input) in outputs.chunks_exact_mut(out_size).zip(inputs) {
                forward.image(input, None, &mut scratch, output);
                if self.normalization.running.is_none() {
                    let planes = output.chunks_exact(plane);
                    vectorized(|| moments.extend(planes.map(plane_moments)));
                }
            }
            moments
        };
        let (convolved, planes) =
            from_pieces(geometry.batch * out_size, images * out_size, convolve);
        let moments =
            self.normalization
                .choose_moments(geometry.out_channels, plane, &planes.concat());
        let output = self
            .normalization
            .apply(moments, plane, &convolved, [weight, bias], shortcut);
        self.convolved
            .get_or_init(|| Storage::Cpu(T::to_cpu_storage_owned(convolved)));
        output
    }

    /// The gradients with respect to input, parameters and, if there is one, shortcut.
    fn gradients<T: Float>(
        &self,
        input: &[T],
        parameters: &[T],
        output: &[T],
        gradient: &[T],
        input_needed: bool,
        shortcut: bool,
    ) -> [Option<Vec<T>>; 3] {
        let geometry = &self.geometry;
        let [kernel, weight, _] = self.split(parameters);
        let plane = geometry.out_plane();
        // Values of this type: the forward pass, which comes first, saved them.
        let convolved = match self.convolved.get() {
            Some(Storage::Cpu(saved)) => saved.as_slice::<T>().unwrap_or_default(),
            _ => &[],
        };
        let gradients = self
            .normalization
            .gradient_sums(plane, convolved, weight, output, gradient, shortcut);
        let relu = self.normalization.relu && gradients.masked.is_none();
        let behind = gradients.masked.as_deref().unwrap_or(gradient);
        let size = geometry.out_size();
        let write = |task: usize, image: usize, target: &mut [T]| {
            let start = (task * images_per_task(geometry.batch) + image) * size;
            for (c, target) in target.chunks_exact_mut(plane).enumerate() {
                let range = start + c * plane..start + (c + 1) * plane;
                let output = relu.then(|| &output[range.clone()]);
                let (values, gradient) = (&convolved[range.clone()], &behind[range]);
                let channel = &gradients.channels[c];
                vectorized(|| channel.write(values, gradient, output, target));
            }
        };
        let needed = [input_needed, true];
        let [input_gradient, kernel_gradient] =
            convolution_gradients(*geometry, input, kernel, needed, write);
        let shortcut_gradient =
            shortcut.then(|| gradients.masked.unwrap_or_else(|| gradient.to_vec()));
        let parameters =
            kernel_gradient.map(|kernel| [kernel, gradients.weight, gradients.bias].concat());
        [input_gradient, parameters, shortcut_gradient]
    }
}

impl Function<2> for ConvolveNormalize {
    const NAME: &'static str = "conv2d_batch_norm";

    fn shape(&self) -> Shape {
        self.output_shape()
    }

    fn forward<T: Float>(&self, [input, parameters]: [&[T]; 2]) -> Vec<T> {
        self.values(input, parameters, None)
    }

    fn backward<T: Float>(
        &self,
        [input, parameters]: [&[T]; 2],
        output: &[T],
        gradient: &[T],
        [input_needed, _]: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let [input, parameters, _] =
            self.gradients(input, parameters, output, gradient, input_needed, false);
        [input, parameters]
    }
}

impl Function<3> for ConvolveNormalize {
    const NAME: &'static str = "conv2d_batch_norm";

    fn shape(&self) -> Shape {
        self.output_shape()
    }

    fn forward<T: Float>(&self, [input, parameters, shortcut]: [&[T]; 3]) -> Vec<T> {
        self.values(input, parameters, Some(shortcut))
    }

    fn backward<T: Float>(
        &self,
        [input, parameters, _shortcut]: [&[T]; 3],
        output: &[T],
        gradient: &[T],
        [input_needed, ..]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        self.gradients(input, parameters, output, gradient, input_needed, true)
    }
}
