//! Batch normalisation, alone and after a convolution, with the shortcut's addition and ReLU fused in.

use std::sync::{Arc, OnceLock};

use candle_core::{Shape, Storage, Tensor};
use rayon::prelude::*;

use super::buffer::unwritten;
use super::conv2d::convolution_gradients;
use super::convolution::{Forward, Geometry};
use super::images::images_per_task;
use super::parallel::{sum_of, sum_of_products};
use super::{Float, Function, vectorized};

/// The mean and the biased variance of each channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f64>,
    pub(crate) var: Vec<f64>,
}

/// What a normalisation divides by and what follows it.
#[derive(Clone)]
pub(crate) struct Normalization {
    /// Added to the variance.
    pub(crate) eps: f64,
    /// Running statistics; without them those of the batch are taken.
    pub(crate) running: Option<Moments>,
    /// Whether ReLU follows.
    pub(crate) relu: bool,
    /// The statistics that the forward pass used, on the CPU.
    pub(crate) used: Arc<OnceLock<Moments>>,
    /// The same on a card, where they stay: a row of means and a row of variances.
    pub(crate) used_on_card: Arc<OnceLock<Tensor>>,
}

impl Normalization {
    pub(crate) fn new(eps: f64, running: Option<Moments>, relu: bool) -> Self {
        Self {
            eps,
            running,
            relu,
            used: Arc::default(),
            used_on_card: Arc::default(),
        }
    }

    /// Settles the statistics, from those of the images' planes (channels within images) if need be.
    fn settle(&self, channels: usize, plane: usize, planes: &[PlaneMoments]) -> &Moments {
        self.used.get_or_init(|| match &self.running {
            Some(running) => running.clone(),
            None => combine(channels, plane, planes),
        })
    }

    /// The deviation by which a channel is divided, inverted.
    fn inverse(&self, moments: &Moments, channel: usize) -> f64 {
        1.0 / (moments.var[channel] + self.eps).sqrt()
    }

    /// `y = relu(x scale + shift + shortcut)` for the planes of all images.
    fn apply<T: Float>(
        &self,
        moments: &Moments,
        plane: usize,
        values: &[T],
        [weight, bias]: [&[T]; 2],
        shortcut: Option<&[T]>,
    ) -> Vec<T> {
        let channels = weight.len();
        let affine: Vec<(T, T)> = (0..channels)
            .map(|c| {
                let scale = self.inverse(moments, c) * weight[c].to_f64();
                let shift = bias[c].to_f64() - moments.mean[c] * scale;
                (T::from_f64(scale), T::from_f64(shift))
            })
            .collect();
        let size = channels * plane;
        let mut output = unwritten(values.len());
        output
            .par_chunks_mut(size)
            .zip(values.par_chunks(size))
            .enumerate()
            .for_each(|(image, (outputs, values))| {
                let planes = outputs
                    .chunks_exact_mut(plane)
                    .zip(values.chunks_exact(plane));
                for (c, (output, values)) in planes.enumerate() {
                    let start = image * size + c * plane;
                    let shortcut = shortcut.map(|shortcut| &shortcut[start..][..plane]);
                    let (scale, shift) = affine[c];
                    vectorized(|| normalize(values, scale, shift, shortcut, self.relu, output));
                }
            });
        output
    }

    /// The gradients with respect to weight and bias, and what [`ChannelGradient`] needs for each
    /// channel. Where a shortcut was added, `masked` receives the gradient behind ReLU.
    fn gradient_sums<T: Float>(
        &self,
        plane: usize,
        values: &[T],
        weight: &[T],
        output: &[T],
        gradient: &[T],
        masked: Option<&mut [T]>,
    ) -> Gradients<T> {
        let channels = weight.len();
        let size = channels * plane;
        let empty = Moments::default();
        let moments = self.used.get().unwrap_or(&empty);
        let mean: Vec<T> = moments.mean.iter().map(|mean| T::from_f64(*mean)).collect();
        let image_sums = |image: usize, masked: Option<&mut [T]>| -> Vec<[T; 2]> {
            let mut masked = masked.map(|masked| masked.chunks_exact_mut(plane));
            (0..channels)
                .map(|c| {
                    let range = image * size + c * plane..image * size + (c + 1) * plane;
                    let (values, output) = (&values[range.clone()], &output[range.clone()]);
                    let gradient = &gradient[range];
                    let target = masked.as_mut().and_then(Iterator::next);
                    vectorized(|| match (self.relu, target) {
                        (true, Some(target)) => {
                            mask(gradient, output, target);
                            sums(values, target, mean[c])
                        }
                        (true, None) => masked_sums(values, gradient, output, mean[c]),
                        (false, _) => sums(values, gradient, mean[c]),
                    })
                })
                .collect()
        };
        let image_sums: Vec<Vec<[T; 2]>> = match masked {
            Some(masked) => masked
                .par_chunks_mut(size)
                .enumerate()
                .map(|(image, masked)| image_sums(image, Some(masked)))
                .collect(),
            None => (0..values.len() / size)
                .into_par_iter()
                .map(|image| image_sums(image, None))
                .collect(),
        };
        let mut totals = vec![[0f64; 2]; channels];
        for sums in &image_sums {
            for (total, sum) in totals.iter_mut().zip(sums) {
                total[0] += sum[0].to_f64();
                total[1] += sum[1].to_f64();
            }
        }
        let count = (values.len() / channels) as f64;
        let mut gradients = Gradients {
            weight: Vec::with_capacity(channels),
            bias: Vec::with_capacity(channels),
            channels: Vec::with_capacity(channels),
        };
        for (c, [sum, centered]) in totals.into_iter().enumerate() {
            let inverse = self.inverse(moments, c);
            gradients.weight.push(T::from_f64(centered * inverse));
            gradients.bias.push(T::from_f64(sum));
            let scale = weight[c].to_f64() * inverse;
            // Only the batch's own statistics depend on the values.
            let through = if self.running.is_some() { 0.0 } else { scale };
            gradients.channels.push(ChannelGradient {
                scale: T::from_f64(scale),
                slope: T::from_f64(-through * inverse * inverse * centered / count),
                shift: T::from_f64(-through * sum / count),
                mean: mean[c],
            });
        }
        gradients
    }
}

struct Gradients<T> {
    weight: Vec<T>,
    bias: Vec<T>,
    channels: Vec<ChannelGradient<T>>,
}

/// The gradient with respect to a normalisation's input: `scale g + slope (x - mean) + shift`.
pub(super) struct ChannelGradient<T> {
    pub(super) scale: T,
    pub(super) slope: T,
    pub(super) shift: T,
    pub(super) mean: T,
}

impl<T: Float> ChannelGradient<T> {
    /// `output` masks the gradient where ReLU followed and has not been undone yet.
    #[inline(always)]
    pub(super) fn write(
        &self,
        values: &[T],
        gradient: &[T],
        output: Option<&[T]>,
        target: &mut [T],
    ) {
        let at = |x: T, g: T| self.scale * g + (self.slope * (x - self.mean) + self.shift);
        let pairs = target.iter_mut().zip(values).zip(gradient);
        match output {
            Some(output) => {
                for (((target, x), g), y) in pairs.zip(output) {
                    *target = at(*x, masked(*g, *y));
                }
            }
            None => {
                for ((target, x), g) in pairs {
                    *target = at(*x, *g);
                }
            }
        }
    }
}

/// The mean of a plane and the sum of its squared deviations from it.
pub(super) type PlaneMoments = (f64, f64);

#[inline(always)]
pub(super) fn plane_moments<T: Float>(plane: &[T]) -> PlaneMoments {
    let mean = sum_of(plane, |x| x).to_f64() / plane.len() as f64;
    let center = T::from_f64(mean);
    let squares = sum_of(plane, |x| (x - center) * (x - center));
    // The centre is the mean rounded to T.
    let rest = mean - center.to_f64();
    (mean, squares.to_f64() - plane.len() as f64 * rest * rest)
}

/// The moments of all planes of a channel, by the update of Chan, Golub and LeVeque (1983).
fn combine(channels: usize, plane: usize, planes: &[PlaneMoments]) -> Moments {
    let size = plane as f64;
    let mut mean = vec![0f64; channels];
    let mut squares = vec![0f64; channels];
    for (image, planes) in planes.chunks_exact(channels).enumerate() {
        let before = image as f64 * size;
        for (c, (plane_mean, plane_squares)) in planes.iter().enumerate() {
            let delta = plane_mean - mean[c];
            mean[c] += delta * size / (before + size);
            squares[c] += plane_squares + delta * delta * before * size / (before + size);
        }
    }
    let count = (planes.len() / channels) as f64 * size;
    let var = squares.into_iter().map(|squares| squares / count).collect();
    Moments { mean, var }
}

#[inline(always)]
pub(super) fn normalize<T: Float>(
    values: &[T],
    scale: T,
    shift: T,
    shortcut: Option<&[T]>,
    relu: bool,
    output: &mut [T],
) {
    let pairs = output.iter_mut().zip(values);
    match (shortcut, relu) {
        (None, false) => pairs.for_each(|(y, x)| *y = *x * scale + shift),
        (None, true) => pairs.for_each(|(y, x)| *y = rectified(*x * scale + shift)),
        (Some(shortcut), false) => pairs
            .zip(shortcut)
            .for_each(|((y, x), s)| *y = *x * scale + shift + *s),
        (Some(shortcut), true) => pairs
            .zip(shortcut)
            .for_each(|((y, x), s)| *y = rectified(*x * scale + shift + *s)),
    }
}

/// max(x, 0), where NaN stays NaN.
#[inline(always)]
fn rectified<T: Float>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

/// The gradient behind a ReLU with output `y`.
#[inline(always)]
fn masked<T: Float>(gradient: T, y: T) -> T {
    if y <= T::zero() { T::zero() } else { gradient }
}

#[inline(always)]
fn mask<T: Float>(gradient: &[T], output: &[T], target: &mut [T]) {
    for ((target, g), y) in target.iter_mut().zip(gradient).zip(output) {
        *target = masked(*g, *y);
    }
}

/// The sums of `g` and of `g (x - mean)`.
#[inline(always)]
pub(super) fn sums<T: Float>(values: &[T], gradient: &[T], mean: T) -> [T; 2] {
    let centered = sum_of_products(values, gradient, |x, g| (x - mean) * g);
    [sum_of(gradient, |g| g), centered]
}

/// [`sums`] of the gradient behind a ReLU.
#[inline(always)]
fn masked_sums<T: Float>(values: &[T], gradient: &[T], output: &[T], mean: T) -> [T; 2] {
    const BLOCK: usize = 1024;
    let mut behind = [T::zero(); BLOCK];
    let mut totals = [T::zero(); 2];
    let blocks = values.chunks(BLOCK).zip(gradient.chunks(BLOCK));
    for ((values, gradient), output) in blocks.zip(output.chunks(BLOCK)) {
        let behind = &mut behind[..values.len()];
        mask(gradient, output, behind);
        let [sum, centered] = sums(values, behind, mean);
        totals = [totals[0] + sum, totals[1] + centered];
    }
    totals
}

/// Batch normalisation of `[batch, channels, height, width]` by a weight and a bias.
pub(crate) struct BatchNorm {
    pub(crate) shape: Shape,
    pub(crate) plane: usize,
    pub(crate) normalization: Normalization,
}

impl Function<3> for BatchNorm {
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
        let moments = self.normalization.settle(weight.len(), self.plane, &planes);
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
            .gradient_sums(self.plane, input, weight, output, gradient, None);
        let result = input_needed.then(|| {
            let mut result = unwritten(input.len());
            result
                .par_chunks_exact_mut(self.plane)
                .enumerate()
                .with_min_len(8)
                .for_each(|(i, target)| {
                    let range = i * self.plane..(i + 1) * self.plane;
                    let output = self.normalization.relu.then(|| &output[range.clone()]);
                    let (input, gradient) = (&input[range.clone()], &gradient[range]);
                    let channel = &gradients.channels[i % weight.len()];
                    vectorized(|| channel.write(input, gradient, output, target));
                });
            result
        });
        [result, Some(gradients.weight), Some(gradients.bias)]
    }
}

/// A convolution without bias and its normalisation. As a node of Candle's graph has at most three
/// inputs, the parameters come as one vector: the convolution's weight, the normalisation's weight,
/// its bias. The third input, if any, is the shortcut that is added before ReLU.
pub(crate) struct ConvolveNormalize {
    pub(crate) geometry: Geometry,
    pub(crate) normalization: Normalization,
    /// The convolution's output, kept for the backward pass.
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
        let mut convolved = unwritten::<T>(geometry.batch * geometry.out_size());
        let planes: Vec<Vec<PlaneMoments>> = convolved
            .par_chunks_mut(images * geometry.out_size())
            .zip(input.par_chunks(images * geometry.in_size()))
            .map(|(outputs, inputs)| {
                let mut scratch = forward.scratch();
                let mut moments = Vec::new();
                let outputs = outputs.chunks_exact_mut(geometry.out_size());
                for (output, input) in outputs.zip(inputs.chunks_exact(geometry.in_size())) {
                    forward.image(input, None, &mut scratch, output);
                    if self.normalization.running.is_none() {
                        let planes = output.chunks_exact(plane);
                        vectorized(|| moments.extend(planes.map(plane_moments)));
                    }
                }
                moments
            })
            .collect();
        let moments = self
            .normalization
            .settle(geometry.out_channels, plane, &planes.concat());
        let output = self
            .normalization
            .apply(moments, plane, &convolved, [weight, bias], shortcut);
        self.convolved
            .get_or_init(|| Storage::Cpu(T::to_cpu_storage_owned(convolved)));
        output
    }

    /// The gradients with respect to input and parameters; `masked` receives the shortcut's.
    fn gradients<T: Float>(
        &self,
        input: &[T],
        parameters: &[T],
        output: &[T],
        gradient: &[T],
        input_needed: bool,
        mut masked: Option<&mut [T]>,
    ) -> [Option<Vec<T>>; 2] {
        let geometry = &self.geometry;
        let [kernel, weight, _] = self.split(parameters);
        let plane = geometry.out_plane();
        // The forward pass, which comes first, has kept values of this type.
        let convolved = match self.convolved.get() {
            Some(Storage::Cpu(kept)) => kept.as_slice::<T>().unwrap_or_default(),
            _ => &[],
        };
        let gradients = self.normalization.gradient_sums(
            plane,
            convolved,
            weight,
            output,
            gradient,
            masked.as_deref_mut(),
        );
        let relu = self.normalization.relu && masked.is_none();
        let gradient = masked.as_deref().unwrap_or(gradient);
        let size = geometry.out_size();
        let write = |task: usize, image: usize, target: &mut [T]| {
            let start = (task * images_per_task(geometry.batch) + image) * size;
            for (c, target) in target.chunks_exact_mut(plane).enumerate() {
                let range = start + c * plane..start + (c + 1) * plane;
                let output = relu.then(|| &output[range.clone()]);
                let (values, gradient) = (&convolved[range.clone()], &gradient[range]);
                let channel = &gradients.channels[c];
                vectorized(|| channel.write(values, gradient, output, target));
            }
        };
        let needed = [input_needed, true];
        let [input_gradient, kernel_gradient] =
            convolution_gradients(*geometry, input, kernel, needed, write);
        let parameters =
            kernel_gradient.map(|kernel| [kernel, gradients.weight, gradients.bias].concat());
        [input_gradient, parameters]
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
        self.gradients(input, parameters, output, gradient, input_needed, None)
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
        let mut masked = if self.normalization.relu {
            unwritten(gradient.len())
        } else {
            gradient.to_vec()
        };
        let [input_gradient, parameters] = self.gradients(
            input,
            parameters,
            output,
            gradient,
            input_needed,
            Some(&mut masked),
        );
        [input_gradient, parameters, Some(masked)]
    }
}
