//! Densely connected blocks as one node of Candle's graph.
//!
//! What a layer sees is all features before it, normalised. Layer by layer, the backward pass would need each layer's
//! concatenation and its normalised values: most of a network's memory. Here the features of a block stand in one vector
//! that its layers fill, and what is normalised is computed again (Pleiss et al., arXiv 1707.06990).

use candle_core::Shape;
use rayon::prelude::*;

use super::composite::Composite;
use super::conv2d::{Convolve, convolution_gradients};
use super::normalization::{Images, InputGradient, Moments, Normalization, NormalizationGradients};
use super::parallel::from_pieces;
use super::{Float, Function, Geometry, Pool, Saved};

/// A convolution, at least one block, and the normalisation of the last block's features, with ReLU. The parameters are
/// the convolution's weight; for each step of the blocks, the normalisation's weight and bias and the convolution's
/// weight; and the last normalisation's weight and bias.
pub(crate) struct DenseChain {
    pub(crate) stem: Geometry,
    pub(crate) blocks: Vec<DenseBlock>,
    pub(crate) normalization: Normalization,
    /// That of the output.
    pub(crate) shape: Shape,
    pub(crate) saved: Saved,
}

/// Layers that each add features to those they see. The first features are the output of the step before the block.
pub(crate) struct DenseBlock {
    /// Channels of all features.
    pub(crate) channels: usize,
    /// Pixels of a channel.
    pub(crate) plane: usize,
    /// Steps one after another, the last of which puts out the features that the layer adds.
    pub(crate) layers: Vec<Vec<NormalizeConvolve>>,
    /// What makes the next block's first features of all of this block's. The last block has none, all others have one.
    pub(crate) transition: Option<NormalizeConvolve>,
}

/// A step: normalisation with ReLU, pooling if there is any, and a convolution without bias.
pub(crate) struct NormalizeConvolve {
    pub(crate) normalization: Normalization,
    pub(crate) pool: Option<Pool>,
    pub(crate) geometry: Geometry,
}

/// What the backward pass needs of a block.
struct BlockValues<T> {
    features: Vec<T>,
    /// The outputs of each layer's steps but the last.
    between: Vec<Vec<Vec<T>>>,
}

impl DenseChain {
    /// What the backward pass needs, and the output.
    fn values<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> (Vec<BlockValues<T>>, Vec<T>) {
        let mut parameters = parameters.iter().copied();
        let mut next = || parameters.next().unwrap_or_default();
        let mut values = Vec::with_capacity(self.blocks.len());
        let mut output = Convolve(self.stem).convolve(input, next(), None);
        let batch_moments = self.normalization.running.is_none();
        for block in &self.blocks {
            let size = block.channels * block.plane;
            let moments_of = |features: &[T]| {
                let channels = features.len() / (self.stem.batch * block.plane);
                Moments::of(channels, block.plane, features)
            };
            let mut moments = Moments::default();
            if batch_moments {
                moments = moments_of(&output);
            }
            let mut features = block.with_first_features(output);
            let mut between = Vec::with_capacity(block.layers.len());
            for layer in &block.layers {
                let mut outputs: Vec<Vec<T>> = Vec::with_capacity(layer.len());
                for step in layer {
                    let parameters = [next(), next(), next()];
                    let output = match outputs.last() {
                        None => {
                            let seen = || moments.first(step.geometry.in_channels);
                            step.values(Images::new(&features, size), seen, parameters)
                        }
                        Some(values) => {
                            let images = Images::new(values, step.geometry.in_size());
                            step.values(images, || moments_of(values), parameters)
                        }
                    };
                    outputs.push(output);
                }
                let added = outputs.pop().unwrap_or_default();
                block.put(&added, layer, &mut features);
                if batch_moments {
                    moments.append(moments_of(&added));
                }
                between.push(outputs);
            }
            let images = Images::new(&features, size);
            output = match &block.transition {
                Some(step) => step.values(images, || moments, [next(), next(), next()]),
                None => {
                    let moments = self.normalization.choose_moments(|| moments);
                    let parameters = [next(), next()];
                    self.normalization
                        .apply(moments, block.plane, images, parameters, None)
                }
            };
            values.push(BlockValues { features, between });
        }
        (values, output)
    }
}

impl DenseBlock {
    /// All features, of which only the first are there yet.
    fn with_first_features<T: Float>(&self, first: Vec<T>) -> Vec<T> {
        let Some([step, ..]) = self.layers.first().map(Vec::as_slice) else {
            return first;
        };
        let (first_size, size) = (step.geometry.in_size(), self.channels * self.plane);
        let images = first.len() / first_size;
        let copy = |image: usize, features: &mut [T]| {
            features[..first_size].copy_from_slice(&first[image * first_size..][..first_size]);
        };
        from_pieces(images * size, size, copy).0
    }

    /// Puts the features that a layer adds behind those that it sees.
    fn put<T: Float>(&self, added: &[T], layer: &[NormalizeConvolve], features: &mut [T]) {
        let ([first, ..], [.., last]) = (layer, layer) else {
            return;
        };
        let images = features.par_chunks_exact_mut(self.channels * self.plane);
        let added = added.par_chunks_exact(last.geometry.out_size());
        images.zip(added).for_each(|(features, added)| {
            features[first.geometry.in_size()..][..added.len()].copy_from_slice(added);
        });
    }
}

impl NormalizeConvolve {
    /// Pixels of a channel of what is normalised.
    fn plane(&self) -> usize {
        match &self.pool {
            Some(pool) => pool.plane(),
            None => self.geometry.in_plane(),
        }
    }

    fn normalized<T: Float>(
        &self,
        input: Images<T>,
        of_batch: impl FnOnce() -> Moments,
        parameters: [&[T]; 2],
    ) -> Vec<T> {
        let moments = self.normalization.choose_moments(of_batch);
        self.normalization
            .apply(moments, self.plane(), input, parameters, None)
    }

    fn pooled<T: Float>(&self, normalized: &[T]) -> Option<Vec<T>> {
        self.pool.as_ref().map(|pool| pool.forward([normalized]))
    }

    /// The output, given the moments of the batch.
    fn values<T: Float>(
        &self,
        input: Images<T>,
        of_batch: impl FnOnce() -> Moments,
        [weight, bias, kernel]: [&[T]; 3],
    ) -> Vec<T> {
        let normalized = self.normalized(input, of_batch, [weight, bias]);
        let input = self.pooled(&normalized).unwrap_or(normalized);
        Convolve(self.geometry).convolve(&input, kernel, None)
    }

    /// The gradients, given that with respect to the output.
    fn gradients<T: Float>(
        &self,
        input: Images<T>,
        [weight, bias, kernel]: [&[T]; 3],
        gradient: Images<T>,
    ) -> Gradients<T> {
        // The forward pass, which comes first, chose the moments.
        let normalized = self.normalized(input, Moments::default, [weight, bias]);
        let pooled = self.pooled(&normalized);
        let convolved = pooled.as_deref().unwrap_or(&normalized);
        let write = |image: usize, target: &mut [T]| {
            target.copy_from_slice(gradient.part(image, 0, target.len()));
        };
        let [behind, kernel] =
            convolution_gradients(self.geometry, convolved, kernel, [true; 2], write);
        drop(pooled);
        let behind = behind.unwrap_or_default();
        let behind = match &self.pool {
            Some(pool) => {
                let [behind] = pool.backward([&normalized], &[], &behind, [true]);
                behind.unwrap_or_default()
            }
            None => behind,
        };
        let plane = self.plane();
        let normalization =
            self.normalization
                .gradient_sums(plane, input, weight, &normalized, &behind, false);
        Gradients {
            kernel: kernel.unwrap_or_default(),
            normalization,
            normalized,
            behind,
            plane,
        }
    }
}

/// The gradients of a step, and what that with respect to its input is computed from.
struct Gradients<T> {
    kernel: Vec<T>,
    normalization: NormalizationGradients<T>,
    normalized: Vec<T>,
    /// The gradient with respect to the normalised values.
    behind: Vec<T>,
    plane: usize,
}

impl<T: Float> Gradients<T> {
    fn input<'a>(&'a self, values: Images<'a, T>) -> InputGradient<'a, T> {
        InputGradient {
            channels: &self.normalization.channels,
            plane: self.plane,
            values,
            gradient: &self.behind,
            output: Some(&self.normalized),
        }
    }

    /// Those of the parameters, the last first.
    fn of_parameters(self) -> [Vec<T>; 3] {
        [
            self.kernel,
            self.normalization.bias,
            self.normalization.weight,
        ]
    }
}

impl Composite for DenseChain {
    const NAME: &'static str = "dense-chain";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> Vec<T> {
        let (values, output) = self.values(input, parameters);
        self.saved.put(values);
        output
    }

    fn backward<T: Float>(
        &self,
        input: &[T],
        parameters: &[&[T]],
        output: &[T],
        gradient: &[T],
        input_needed: bool,
    ) -> (Option<Vec<T>>, Vec<Vec<T>>) {
        let values = self.saved.take::<Vec<BlockValues<T>>>();
        let values = values.unwrap_or_else(|| self.values(input, parameters).0);
        let mut parameters = parameters.iter().copied().rev();
        let mut from_last = Vec::with_capacity(parameters.len());
        let mut next = || parameters.next().unwrap_or_default();
        // The gradient with respect to the features of the block at hand, and how far apart its images are.
        let mut sums: Vec<T> = Vec::new();
        let mut sums_size = 0;
        for (block, values) in self.blocks.iter().zip(values).rev() {
            let size = block.channels * block.plane;
            let features = Images::new(&values.features, size);
            if let Some(step) = &block.transition {
                let [kernel, bias, weight] = [next(), next(), next()];
                let behind = Images::new(&sums, sums_size);
                let gradients = step.gradients(features, [weight, bias, kernel], behind);
                sums = gradients.input(features).values();
                from_last.extend(gradients.of_parameters());
            } else {
                let [_bias, weight] = [next(), next()];
                let gradients = self.normalization.gradient_sums(
                    block.plane,
                    features,
                    weight,
                    output,
                    gradient,
                    false,
                );
                let input_gradient = InputGradient {
                    channels: &gradients.channels,
                    plane: block.plane,
                    values: features,
                    gradient,
                    output: Some(output),
                };
                sums = input_gradient.values();
                from_last.extend([gradients.bias, gradients.weight]);
            }
            sums_size = size;
            for (layer, between) in block.layers.iter().zip(values.between).rev() {
                let mut behind: Option<Vec<T>> = None;
                for (i, step) in layer.iter().enumerate().rev() {
                    let [kernel, bias, weight] = [next(), next(), next()];
                    let seen = layer[0].geometry.in_size();
                    let gradient = match &behind {
                        Some(behind) => Images::new(behind, step.geometry.out_size()),
                        None => Images::new(&sums[seen..], size),
                    };
                    let input = match i.checked_sub(1) {
                        Some(before) => Images::new(&between[before], step.geometry.in_size()),
                        None => features,
                    };
                    let gradients = step.gradients(input, [weight, bias, kernel], gradient);
                    if i > 0 {
                        behind = Some(gradients.input(input).values());
                    } else {
                        gradients.input(input).add_to(&mut sums, size);
                    }
                    from_last.extend(gradients.of_parameters());
                }
            }
        }
        let write = |image: usize, target: &mut [T]| {
            target.copy_from_slice(&sums[image * sums_size..][..target.len()]);
        };
        let needed = [input_needed, true];
        let [result, kernel] = convolution_gradients(self.stem, input, next(), needed, write);
        from_last.push(kernel.unwrap_or_default());
        from_last.reverse();
        (result, from_last)
    }
}
