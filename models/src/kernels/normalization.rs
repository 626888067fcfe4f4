//! What batch and group normalisation share: moments of channels, and the scaling by them.

use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use rayon::prelude::*;

use super::parallel::{from_pieces, sum_of, sum_of_products};
use super::{Float, vectorized};

/// The mean and the biased variance of each channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f64>,
    pub(crate) var: Vec<f64>,
}

impl Moments {
    /// Those of the channels of contiguous images.
    pub(super) fn of<T: Float>(channels: usize, plane: usize, values: &[T]) -> Self {
        let planes = values.par_chunks_exact(plane).with_min_len(8);
        let planes: Vec<_> = planes
            .map(|plane| {
                vectorized(
                    #[inline(always)]
                    || plane_moments(plane),
                )
            })
            .collect();
        Self::combine(channels, plane, &planes)
    }

    /// Those of the channels, from the moments of their planes, by the update of Chan, Golub and LeVeque (1983).
    pub(super) fn combine(channels: usize, plane: usize, planes: &[PlaneMoments]) -> Self {
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
        Self { mean, var }
    }

    /// Those of the first channels.
    pub(super) fn first(&self, channels: usize) -> Self {
        Self {
            mean: self.mean[..channels].to_vec(),
            var: self.var[..channels].to_vec(),
        }
    }

    /// Adds those of further channels.
    pub(super) fn append(&mut self, mut other: Self) {
        self.mean.append(&mut other.mean);
        self.var.append(&mut other.var);
    }
}

/// The first channels of images, which may have more.
#[derive(Clone, Copy)]
pub(super) struct Images<'a, T> {
    values: &'a [T],
    /// How far the first value of an image is from that of the one before.
    stride: usize,
}

impl<'a, T> Images<'a, T> {
    pub(super) fn new(values: &'a [T], stride: usize) -> Self {
        Self { values, stride }
    }

    fn count(&self) -> usize {
        self.values.len().div_ceil(self.stride)
    }

    /// `size` values of an image, `start` values after its first.
    #[inline(always)]
    pub(super) fn part(&self, image: usize, start: usize, size: usize) -> &'a [T] {
        &self.values[image * self.stride + start..][..size]
    }
}

/// What a normalisation divides by and what follows it.
#[derive(Clone)]
pub(crate) struct Normalization {
    /// Added to the variance.
    pub(crate) eps: f64,
    /// The running statistics to use; those of the batch where there are none.
    pub(crate) running: Option<Moments>,
    /// Whether ReLU follows.
    pub(crate) relu: bool,
    /// The statistics that the forward pass used, where it ran on the CPU.
    pub(crate) moments: Arc<OnceLock<Moments>>,
    /// The same where it ran on a GPU: a row of means and a row of variances, on that GPU.
    pub(crate) gpu_moments: Arc<OnceLock<Tensor>>,
}

impl Normalization {
    pub(crate) fn new(eps: f64, running: Option<Moments>, relu: bool) -> Self {
        Self {
            eps,
            running,
            relu,
            moments: Arc::default(),
            gpu_moments: Arc::default(),
        }
    }

    /// The statistics to use: the running ones, or those of the batch.
    pub(super) fn choose_moments(&self, of_batch: impl FnOnce() -> Moments) -> &Moments {
        self.moments
            .get_or_init(|| self.running.clone().unwrap_or_else(of_batch))
    }

    /// The reciprocal of the deviation that a channel is divided by.
    fn inverse(&self, moments: &Moments, channel: usize) -> f64 {
        1.0 / (moments.var[channel] + self.eps).sqrt()
    }

    /// `y = relu(x scale + shift + shortcut)` for the planes of all images.
    pub(super) fn apply<T: Float>(
        &self,
        moments: &Moments,
        plane: usize,
        values: Images<T>,
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
        from_pieces(values.count() * size, size, |image, outputs| {
            for (c, output) in outputs.chunks_exact_mut(plane).enumerate() {
                let start = image * size + c * plane;
                let values = values.part(image, c * plane, plane);
                let shortcut = shortcut.map(|shortcut| &shortcut[start..][..plane]);
                let (scale, shift) = affine[c];
                vectorized(
                    #[inline(always)]
                    || normalize(values, scale, shift, shortcut, self.relu, output),
                );
            }
        })
        .0
    }

    /// The gradients with respect to weight and bias, and what [`ChannelGradient`] needs for each
    /// channel. With `shortcut`, also the gradient behind ReLU, which the shortcut that was added
    /// there receives.
    pub(super) fn gradient_sums<T: Float>(
        &self,
        plane: usize,
        values: Images<T>,
        weight: &[T],
        output: &[T],
        gradient: &[T],
        shortcut: bool,
    ) -> NormalizationGradients<T> {
        let channels = weight.len();
        let size = channels * plane;
        let empty = Moments::default();
        let moments = self.moments.get().unwrap_or(&empty);
        let mean: Vec<T> = moments.mean.iter().map(|mean| T::from_f64(*mean)).collect();
        let image_sums = |image: usize, masked: Option<&mut [T]>| -> Vec<[T; 2]> {
            let mut masked = masked.map(|masked| masked.chunks_exact_mut(plane));
            (0..channels)
                .map(|c| {
                    let range = image * size + c * plane..image * size + (c + 1) * plane;
                    let values = values.part(image, c * plane, plane);
                    let output = if self.relu {
                        &output[range.clone()]
                    } else {
                        &[]
                    };
                    let gradient = &gradient[range];
                    let target = masked.as_mut().and_then(Iterator::next);
                    vectorized(
                        #[inline(always)]
                        || match (self.relu, target) {
                            (true, Some(target)) => {
                                mask(gradient, output, target);
                                sums(values, target, mean[c])
                            }
                            (true, None) => masked_sums(values, gradient, output, mean[c]),
                            (false, _) => sums(values, gradient, mean[c]),
                        },
                    )
                })
                .collect()
        };
        let (masked, image_sums) = if shortcut && self.relu {
            let with_target = |image: usize, target: &mut [T]| image_sums(image, Some(target));
            let (masked, sums) = from_pieces(gradient.len(), size, with_target);
            (Some(masked), sums)
        } else {
            let images = (0..values.count()).into_par_iter();
            (None, images.map(|image| image_sums(image, None)).collect())
        };
        let mut totals = vec![[0f64; 2]; channels];
        for sums in &image_sums {
            for (total, sum) in totals.iter_mut().zip(sums) {
                total[0] += sum[0].to_f64();
                total[1] += sum[1].to_f64();
            }
        }
        let count = (gradient.len() / channels) as f64;
        let mut gradients = NormalizationGradients {
            weight: Vec::with_capacity(channels),
            bias: Vec::with_capacity(channels),
            channels: Vec::with_capacity(channels),
            masked,
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

/// What a normalisation passes back.
pub(super) struct NormalizationGradients<T> {
    pub(super) weight: Vec<T>,
    pub(super) bias: Vec<T>,
    pub(super) channels: Vec<ChannelGradient<T>>,
    /// The gradient behind ReLU, where there are a ReLU and a shortcut.
    pub(super) masked: Option<Vec<T>>,
}

/// What the gradient with respect to a normalisation's input is computed from.
pub(super) struct InputGradient<'a, T> {
    pub(super) channels: &'a [ChannelGradient<T>],
    pub(super) plane: usize,
    pub(super) values: Images<'a, T>,
    /// The gradient with respect to the output.
    pub(super) gradient: &'a [T],
    /// The output, where ReLU follows and the gradient is that behind it.
    pub(super) output: Option<&'a [T]>,
}

impl<T: Float> InputGradient<'_, T> {
    /// All of it.
    pub(super) fn values(&self) -> Vec<T> {
        let size = self.channels.len() * self.plane;
        let write = |image: usize, targets: &mut [T]| self.write(image, targets);
        from_pieces(self.gradient.len(), size, write).0
    }

    /// Adds it to the first channels of images that are `stride` values apart.
    pub(super) fn add_to(&self, sums: &mut [T], stride: usize) {
        let images = sums.par_chunks_exact_mut(stride).enumerate();
        images.for_each(|(image, sums)| {
            self.each(
                image,
                sums,
                #[inline(always)]
                |sum, g| *sum += g,
            )
        });
    }

    /// Writes that of an image.
    pub(super) fn write(&self, image: usize, targets: &mut [T]) {
        self.each(
            image,
            targets,
            #[inline(always)]
            |target, g| *target = g,
        );
    }

    /// Hands each element of an image's first channels, and its gradient, to `store`.
    fn each(&self, image: usize, targets: &mut [T], store: impl Fn(&mut T, T)) {
        let plane = self.plane;
        let start = image * self.channels.len() * plane;
        let planes = targets.chunks_exact_mut(plane);
        for (c, (channel, target)) in self.channels.iter().zip(planes).enumerate() {
            let range = start + c * plane..start + (c + 1) * plane;
            let values = self.values.part(image, c * plane, plane);
            let output = self.output.map(|output| &output[range.clone()]);
            let gradient = &self.gradient[range];
            vectorized(
                #[inline(always)]
                || channel.each(values, gradient, output, target, &store),
            );
        }
    }
}

/// The gradient with respect to a normalisation's input: `scale g + slope (x - mean) + shift`.
pub(super) struct ChannelGradient<T> {
    pub(super) scale: T,
    pub(super) slope: T,
    pub(super) shift: T,
    pub(super) mean: T,
}

impl<T: Float> ChannelGradient<T> {
    /// Hands each element of `target` and its gradient to `store`. Where ReLU follows and `gradient` is that behind it,
    /// ReLU's `output` says which elements pass.
    #[inline(always)]
    pub(super) fn each(
        &self,
        values: &[T],
        gradient: &[T],
        output: Option<&[T]>,
        target: &mut [T],
        store: impl Fn(&mut T, T),
    ) {
        let at = |x: T, g: T| self.scale * g + (self.slope * (x - self.mean) + self.shift);
        let pairs = target.iter_mut().zip(values).zip(gradient);
        match output {
            Some(output) => {
                for (((target, x), g), y) in pairs.zip(output) {
                    store(target, at(*x, masked(*g, *y)));
                }
            }
            None => {
                for ((target, x), g) in pairs {
                    store(target, at(*x, *g));
                }
            }
        }
    }

    /// Writes it to `target`; see [`Self::each`].
    #[inline(always)]
    pub(super) fn write(
        &self,
        values: &[T],
        gradient: &[T],
        output: Option<&[T]>,
        target: &mut [T],
    ) {
        self.each(
            values,
            gradient,
            output,
            target,
            #[inline(always)]
            |target, value| {
                *target = value;
            },
        );
    }
}

/// The mean of a plane and the sum of its squared deviations from it.
pub(super) type PlaneMoments = (f64, f64);

#[inline(always)]
pub(super) fn plane_moments<T: Float>(plane: &[T]) -> PlaneMoments {
    let mean = sum_of(
        plane,
        #[inline(always)]
        |x| x,
    )
    .to_f64()
        / plane.len() as f64;
    let center = T::from_f64(mean);
    let squares = sum_of(
        plane,
        #[inline(always)]
        |x| (x - center) * (x - center),
    );
    // The centre is the mean rounded to T.
    let rest = mean - center.to_f64();
    (mean, squares.to_f64() - plane.len() as f64 * rest * rest)
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
    let centered = sum_of_products(
        values,
        gradient,
        #[inline(always)]
        |x, g| (x - mean) * g,
    );
    [
        sum_of(
            gradient,
            #[inline(always)]
            |g| g,
        ),
        centered,
    ]
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
