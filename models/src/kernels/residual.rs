//! A chain of residual blocks as one node of Candle's graph.
//!
//! For the gradient of every node, Candle fills a tensor with zeros and adds to it, on one thread. Where a chain of
//! blocks is one node, the values between its layers need neither.

use candle_core::Shape;
use rayon::prelude::*;

use super::composite::Composite;
use super::parallel::{add, from_pieces};
use super::{ConvolveNormalize, Float, Geometry, Saved};

/// Blocks, each a function of the output of the one before. The parameters are, block by block, those of the projection,
/// if there is one, and those of the layers: the convolution's weight, the normalisation's weight and its bias.
pub(crate) struct ResidualChain {
    blocks: Vec<ResidualBlock>,
    /// The outputs of all layers but the last.
    saved: Saved,
}

/// Layers one after another, to the last of which a shortcut is added.
pub(crate) struct ResidualBlock {
    pub(crate) layers: Vec<ConvolveNormalize>,
    pub(crate) shortcut: Shortcut,
}

/// What is added to the last layer of a block before its ReLU.
pub(crate) enum Shortcut {
    Nothing,
    /// The block's input.
    Identity,
    /// Pixels of the input, with channels of zeros on either side.
    Pad(Pad),
    /// A normalised convolution of the input.
    Project(ConvolveNormalize),
}

/// Every `stride`-th pixel of an image, with channels of zeros on either side.
pub(crate) struct Pad {
    /// The convolution with the same pixels and channels, for its sizes.
    pub(crate) geometry: Geometry,
    /// Channels of zeros before those of the image.
    pub(crate) before: usize,
}

impl Pad {
    /// Calls `work` with the place of each pixel in the input and in the output.
    fn for_each_pixel(&self, mut work: impl FnMut(usize, usize)) {
        let geometry = &self.geometry;
        let width = geometry.out_width();
        for channel in 0..geometry.in_channels {
            for row in 0..geometry.out_height() {
                let from = channel * geometry.in_plane() + row * geometry.stride * geometry.width;
                let to = (self.before + channel) * geometry.out_plane() + row * width;
                for column in 0..width {
                    work(from + column * geometry.stride, to + column);
                }
            }
        }
    }

    fn values<T: Float>(&self, input: &[T]) -> Vec<T> {
        let (size, out_size) = (self.geometry.in_size(), self.geometry.out_size());
        let pad = |image: usize, output: &mut [T]| {
            let input = &input[image * size..][..size];
            self.for_each_pixel(|from, to| output[to] = input[from]);
        };
        from_pieces(self.geometry.batch * out_size, out_size, pad).0
    }

    /// Adds the gradient with respect to the input to `sums`.
    fn add_gradient<T: Float>(&self, gradient: &[T], sums: &mut [T]) {
        let (size, out_size) = (self.geometry.in_size(), self.geometry.out_size());
        let images = sums.par_chunks_exact_mut(size);
        images
            .zip(gradient.par_chunks_exact(out_size))
            .for_each(|(sums, gradient)| {
                self.for_each_pixel(|to, from| sums[to] += gradient[from]);
            });
    }
}

impl ResidualChain {
    /// A chain of at least one block, none of which is empty. The blocks must fit each other.
    pub(crate) fn new(blocks: Vec<ResidualBlock>) -> Self {
        Self {
            blocks,
            saved: Saved::default(),
        }
    }

    /// The outputs of all layers.
    fn values<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> Vec<Vec<T>> {
        let mut parameters = parameters.iter().copied();
        let mut next = || std::array::from_fn(|_| parameters.next().unwrap_or_default());
        let mut outputs = Vec::new();
        for block in &self.blocks {
            let first = outputs.len();
            let start = last_or(input, &outputs);
            let added = match &block.shortcut {
                Shortcut::Nothing | Shortcut::Identity => None,
                Shortcut::Pad(pad) => Some(pad.values(start)),
                Shortcut::Project(projection) => Some(projection.values(start, next(), None)),
            };
            for (i, layer) in block.layers.iter().enumerate() {
                let shortcut = match &block.shortcut {
                    _ if i + 1 < block.layers.len() => None,
                    Shortcut::Identity => Some(last_or(input, &outputs[..first])),
                    _ => added.as_deref(),
                };
                let output = layer.values(last_or(input, &outputs), next(), shortcut);
                outputs.push(output);
            }
        }
        outputs
    }
}

/// The last of the outputs, or the input where there is none.
fn last_or<'a, T>(input: &'a [T], outputs: &'a [Vec<T>]) -> &'a [T] {
    outputs.last().map_or(input, Vec::as_slice)
}

impl Composite for ResidualChain {
    const NAME: &'static str = "residual-chain";

    fn shape(&self) -> Shape {
        let layers = self.blocks.iter().flat_map(|block| &block.layers);
        let shape = layers.last().map(ConvolveNormalize::output_shape);
        shape.unwrap_or(Shape::from(()))
    }

    fn forward<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> Vec<T> {
        let mut outputs = self.values(input, parameters);
        let output = outputs.pop().unwrap_or_default();
        self.saved.put(outputs);
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
        let mut outputs = self.saved.take::<Vec<Vec<T>>>().unwrap_or_else(|| {
            let mut outputs = self.values(input, parameters);
            outputs.pop();
            outputs
        });
        let mut from_last = Vec::with_capacity(parameters.len());
        let mut end = parameters.len();
        let mut next = || {
            end -= 3;
            [parameters[end], parameters[end + 1], parameters[end + 2]]
        };
        // The output of the block at hand, and its gradient; at first, those of the chain.
        let mut block_output: Option<Vec<T>> = None;
        let mut behind: Option<Vec<T>> = None;
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let first = outputs.len() + 1 - block.layers.len();
            let needed = i > 0 || input_needed;
            let mut added = None;
            for (j, layer) in block.layers.iter().enumerate().rev() {
                let inner = outputs.get(first + j).or(block_output.as_ref());
                let gradients = layer.gradients(
                    last_or(input, &outputs[..first + j]),
                    next(),
                    inner.map_or(output, Vec::as_slice),
                    behind.as_deref().unwrap_or(gradient),
                    needed || j > 0,
                    j + 1 == block.layers.len() && !matches!(block.shortcut, Shortcut::Nothing),
                );
                behind = gradients.input;
                added = added.or(gradients.shortcut);
                from_last.extend(gradients.parameters.into_iter().rev());
            }
            let added = match &block.shortcut {
                Shortcut::Project(projection) => {
                    let start = last_or(input, &outputs[..first]);
                    let added = added.unwrap_or_default();
                    let gradients = projection.gradients(start, next(), &[], &added, needed, false);
                    from_last.extend(gradients.parameters.into_iter().rev());
                    gradients.input
                }
                _ => added,
            };
            match (&block.shortcut, &mut behind, &added) {
                (Shortcut::Pad(pad), Some(sums), Some(added)) => pad.add_gradient(added, sums),
                (_, Some(sums), Some(added)) => add(added, sums),
                _ => {}
            }
            outputs.truncate(first);
            block_output = outputs.pop();
        }
        from_last.reverse();
        (behind, from_last)
    }
}
