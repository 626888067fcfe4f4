//! Batch normalisation, with ReLU fused in.

use candle_core::Shape;
use rayon::prelude::*;

use super::normalization::{Normalization, plane_moments};
use super::parallel::from_pieces;
use super::{Float, Function, vectorized};

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
        let planes = match self.normalization.running {
            Some(_) => Vec::new(),
            None => input
                .par_chunks_exact(self.plane)
                .map(|plane| vectorized(|| plane_moments(plane)))
                .with_min_len(8)
                .collect(),
        };
        let moments = self
            .normalization
            .choose_moments(weight.len(), self.plane, &planes);
        self.normalization
            .apply(moments, self.plane, input, [weight, bias], None)
    }

    fn backward<T: Float>(
        &self,
        [input, weight, _bias]: [&[T]; 3],
        output: &[T],
        gradient: &[T],
        [input_needed, ..]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let gradients = self
            .normalization
            .gradient_sums(self.plane, input, weight, output, gradient, false);
        let result = input_needed.then(|| {
            let size = weight.len() * self.plane;
            let write = |image: usize, targets: &mut [T]| {
                for (c, target) in targets.chunks_exact_mut(self.plane).enumerate() {
                    let start = image * size + c * self.plane;
                    let range = start..start + self.plane;
                    let output = self.normalization.relu.then(|| &output[range.clone()]);
                    let (input, gradient) = (&input[range.clone()], &gradient[range]);
                    let channel = &gradients.channels[c];
                    vectorized(|| channel.write(input, gradient, output, target));
                }
            };
            from_pieces(input.len(), size, write).0
        });
        [result, Some(gradients.weight), Some(gradients.bias)]
    }
}
