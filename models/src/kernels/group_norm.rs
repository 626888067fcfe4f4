//! Group normalisation.

use candle_core::Shape;

use super::normalization::{ChannelGradient, normalize, plane_moments, sums};
use super::parallel::{combine, from_pieces};
use super::{Float, Function, vectorized};

/// Normalisation of each group of channels of each image of `[batch, channels, height, width]`,
/// then a weight and a bias for each channel.
pub(crate) struct GroupNormalize {
    pub(crate) shape: Shape,
    pub(crate) channels: usize,
    pub(crate) groups: usize,
    pub(crate) plane: usize,
    pub(crate) eps: f64,
}

impl GroupNormalize {
    fn size(&self) -> usize {
        self.channels * self.plane
    }

    /// The mean and the inverse deviation of each group of an image.
    #[inline(always)]
    fn statistics<T: Float>(&self, image: &[T]) -> Vec<(f64, f64)> {
        let size = self.size() / self.groups;
        let statistics = |group: &[T]| {
            let (mean, squares) = plane_moments(group);
            (mean, 1.0 / (squares / size as f64 + self.eps).sqrt())
        };
        image.chunks_exact(size).map(statistics).collect()
    }

    #[inline(always)]
    fn apply<T: Float>(&self, input: &[T], weight: &[T], bias: &[T], output: &mut [T]) {
        let statistics = self.statistics(input);
        let planes = output.chunks_exact_mut(self.plane);
        for (c, (output, input)) in planes.zip(input.chunks_exact(self.plane)).enumerate() {
            let (mean, inverse) = statistics[c * self.groups / self.channels];
            let scale = inverse * weight[c].to_f64();
            let shift = bias[c].to_f64() - mean * scale;
            let (scale, shift) = (T::from_f64(scale), T::from_f64(shift));
            normalize(input, scale, shift, None, false, output);
        }
    }

    /// Writes the gradient with respect to an image, and returns its part of those with respect to
    /// all weights, then all biases.
    #[inline(always)]
    fn differentiate<T: Float>(
        &self,
        input: &[T],
        weight: &[T],
        gradient: &[T],
        result: &mut [T],
    ) -> Vec<T> {
        let statistics = self.statistics(input);
        let group_of = |c: usize| c * self.groups / self.channels;
        let count = (self.size() / self.groups) as f64;
        let mut parameters = vec![T::zero(); 2 * self.channels];
        let mut totals = vec![[0f64; 2]; self.groups];
        let planes = input.chunks_exact(self.plane);
        for (c, (input, gradient)) in planes.zip(gradient.chunks_exact(self.plane)).enumerate() {
            let (mean, inverse) = statistics[group_of(c)];
            let [sum, centered] = sums(input, gradient, T::from_f64(mean));
            parameters[c] = centered * T::from_f64(inverse);
            parameters[self.channels + c] = sum;
            let total = &mut totals[group_of(c)];
            total[0] += weight[c].to_f64() * sum.to_f64();
            total[1] += weight[c].to_f64() * centered.to_f64();
        }
        let planes = input
            .chunks_exact(self.plane)
            .zip(gradient.chunks_exact(self.plane));
        let results = result.chunks_exact_mut(self.plane);
        for (c, ((input, gradient), result)) in planes.zip(results).enumerate() {
            let (mean, inverse) = statistics[group_of(c)];
            let [sum, centered] = totals[group_of(c)];
            let channel = ChannelGradient {
                scale: T::from_f64(weight[c].to_f64() * inverse),
                slope: T::from_f64(-inverse.powi(3) * centered / count),
                shift: T::from_f64(-inverse * sum / count),
                mean: T::from_f64(mean),
            };
            channel.write(input, gradient, None, result);
        }
        parameters
    }
}

impl Function<3> for GroupNormalize {
    const NAME: &'static str = "group_norm";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [input, weight, bias]: [&[T]; 3]) -> Vec<T> {
        let size = self.size();
        from_pieces(input.len(), size, |image, output| {
            let input = &input[image * size..][..size];
            vectorized(
                #[inline(always)]
                || self.apply(input, weight, bias, output),
            );
        })
        .0
    }

    fn backward<T: Float>(
        &self,
        [input, weight, _bias]: [&[T]; 3],
        _output: &[T],
        gradient: &[T],
        _needed: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let size = self.size();
        let (result, parameters) = from_pieces(input.len(), size, |image, result| {
            let input = &input[image * size..][..size];
            let gradient = &gradient[image * size..][..size];
            vectorized(
                #[inline(always)]
                || self.differentiate(input, weight, gradient, result),
            )
        });
        let mut weight = combine(parameters, 2 * self.channels);
        let bias = weight.split_off(self.channels);
        [Some(result), Some(weight), Some(bias)]
    }
}
