//! Batch normalisation, with ReLU fused in.

use candle_core::Shape;

use super::normalization::{Images, InputGradient, Moments, Normalization};
use super::{Float, Function};

/// Batch normalisation of `[batch, channels, height, width]` by a weight and a bias.
pub(crate) struct BatchNormalize {
    pub(crate) shape: Shape,
    pub(crate) plane: usize,
    pub(crate) normalization: Normalization,
}

impl Function<3> for BatchNormalize {
    const NAME: &'static str = "batch_norm";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [input, weight, bias]: [&[T]; 3]) -> Vec<T> {
        let channels = weight.len();
        let of_batch = || Moments::of(channels, self.plane, input);
        let moments = self.normalization.choose_moments(of_batch);
        let images = Images::new(input, channels * self.plane);
        self.normalization
            .apply(moments, self.plane, images, [weight, bias], None)
    }

    fn backward<T: Float>(
        &self,
        [input, weight, _bias]: [&[T]; 3],
        output: &[T],
        gradient: &[T],
        [input_needed, ..]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let images = Images::new(input, weight.len() * self.plane);
        let gradients = self
            .normalization
            .gradient_sums(self.plane, images, weight, output, gradient, false);
        let input_gradient = InputGradient {
            channels: &gradients.channels,
            plane: self.plane,
            values: images,
            gradient,
            output: self.normalization.relu.then_some(output),
        };
        let result = input_needed.then(|| input_gradient.values());
        [result, Some(gradients.weight), Some(gradients.bias)]
    }
}
