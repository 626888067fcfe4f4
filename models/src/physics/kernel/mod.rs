//! The fused kernel: a tile of points goes through all layers, forward and backward, while it stays in
//! the cache.
//!
//! A tile's matrices have a row for each channel (value, u_x, u_xx, u_t, u_tt as [`Orders`] asks for) of
//! each point, channel by channel, and a column for each unit, padded with zeros. Sums over points go
//! through the points of a tile in order, through the tiles of a leaf in order, and up a balanced tree of
//! leaves. Tiles and leaves depend on the sizes of the network and of the batch alone: so do the bits.

mod elementwise;
mod parameters;
mod product;
pub(crate) mod real;
mod scratch;

use std::ops::Range;

use super::activation::Activation;
use super::features::Inputs;
use super::jet::Orders;
use parameters::{Hidden, padded};
use product::{Dots, Product, Start};
use real::Real;
use scratch::{Pool, Scratch};

pub(crate) use parameters::Parameters;

/// Points of one kind: which derivatives are needed, and what makes a loss of them.
pub(crate) struct Batch<'a> {
    /// The features of `places * count` points, place by place.
    pub(crate) inputs: &'a Inputs,
    pub(crate) orders: Orders,
    /// How many points a residual looks at.
    pub(crate) places: usize,
    /// The number of residuals.
    pub(crate) count: usize,
    /// Given a range of residuals and the network's output in the order `[channel][place][residual]`,
    /// returns the sum of squares, and replaces the output by the loss's derivative by it.
    pub(crate) squares: &'a (dyn Fn(Range<usize>, &mut [f64]) -> f64 + Sync),
}

/// Sums of squares for each batch, and the gradient where it was asked for.
pub(crate) struct Sums<T> {
    pub(crate) squares: Vec<f64>,
    pub(crate) gradient: Option<Vec<T>>,
}

impl<T: Real> Parameters<T> {
    /// From weights `[outputs, inputs]` and biases of all layers, the last of which has one output.
    pub(crate) fn new(activation: Activation, layers: &[(Vec<T>, Vec<T>)]) -> Self {
        let (last, first) = layers.split_last().expect("a network has layers");
        let hidden = first.iter().enumerate();
        let hidden: Vec<Hidden<T>> = hidden
            .map(|(l, (w, b))| Hidden::new(w, b, l == 0))
            .collect();
        let mut output = vec![T::zero(); padded::<T>(last.0.len())];
        output[..last.0.len()].copy_from_slice(&last.0);
        Self {
            activation,
            features: hidden[0].inputs,
            hidden,
            output,
            output_bias: last.1[0],
        }
    }

    /// The sums over all batches.
    pub(crate) fn evaluate(&self, batches: &[Batch], gradient: bool) -> Sums<T> {
        let mut leaves = Vec::new();
        for (index, batch) in batches.iter().enumerate() {
            let tile = self.tile_points(batch.orders, batch.places);
            let leaf = LEAF_POINTS.div_ceil(tile * batch.places) * tile;
            for first in (0..batch.count).step_by(leaf) {
                leaves.push((index, first..(first + leaf).min(batch.count)));
            }
        }
        let pool = Pool::default();
        self.tree(batches, &leaves, gradient, &pool)
    }

    /// The value of the network at each point, with neither derivatives nor gradient.
    pub(crate) fn values(&self, inputs: &Inputs) -> Vec<f64> {
        use rayon::prelude::*;
        let tile = self.tile_points(Orders::VALUE, 1);
        let mut values = vec![0.0; inputs.len()];
        let tiles = values.par_chunks_mut(tile).enumerate();
        tiles.for_each_init(Scratch::default, |scratch, (index, values)| {
            let points = index * tile..index * tile + values.len();
            scratch.resize(self, Orders::VALUE, values.len());
            inputs.write(points, Orders::VALUE, 0, values.len(), &mut scratch.inputs);
            self.forward(scratch, Orders::VALUE, values.len());
            for (value, output) in values.iter_mut().zip(&scratch.output) {
                *value = output.to_f64();
            }
        });
        values
    }

    /// Weight and bias gradients of each layer, in the shapes of [`Parameters::new`].
    pub(crate) fn unpack(&self, gradient: &[T]) -> Vec<(Vec<T>, Vec<T>)> {
        let mut rest = gradient;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken
        };
        let mut layers = Vec::with_capacity(self.hidden.len() + 1);
        for layer in &self.hidden {
            let (main, below) = (layer.main, padded::<T>(layer.inputs));
            let weight = take(layer.inputs * main);
            let rest = take(layer.rest() * below);
            let of = |j: usize, k: usize| match j.checked_sub(main) {
                None => weight[k * main + j],
                Some(j) => rest[j * below + k],
            };
            let weight = (0..layer.outputs).flat_map(|j| (0..layer.inputs).map(move |k| of(j, k)));
            let bias = take(padded::<T>(layer.outputs));
            layers.push((weight.collect(), bias[..layer.outputs].to_vec()));
        }
        let weight = take(self.output.len())[..self.last_width()].to_vec();
        layers.push((weight, take(1).to_vec()));
        layers
    }

    fn last_width(&self) -> usize {
        self.hidden[self.hidden.len() - 1].outputs
    }

    fn gradient_len(&self) -> usize {
        let hidden: usize = self.hidden.iter().map(Hidden::gradient_len).sum();
        hidden + self.output.len() + 1
    }

    /// The residuals of a tile: as many as keep its matrices within [`TILE_BYTES`].
    fn tile_points(&self, orders: Orders, places: usize) -> usize {
        let columns: usize = self.hidden.iter().map(|l| padded::<T>(l.outputs)).sum();
        let residual = 2 * columns * orders.channels() * places * size_of::<T>();
        (TILE_BYTES / residual / 8 * 8).clamp(16, 256)
    }

    /// The sums over `leaves`, by halves.
    fn tree(
        &self,
        batches: &[Batch],
        leaves: &[(usize, Range<usize>)],
        gradient: bool,
        pool: &Pool<T>,
    ) -> Sums<T> {
        match leaves {
            [] => Sums {
                squares: vec![0.0; batches.len()],
                gradient: gradient.then(|| vec![T::zero(); self.gradient_len()]),
            },
            [(batch, range)] => {
                let mut scratch = pool.scratch();
                let mut sums = self.tree(batches, &[], gradient, pool);
                let sum = sums.gradient.as_deref_mut();
                sums.squares[*batch] = self.leaf(&batches[*batch], range, sum, &mut scratch);
                pool.put_back(scratch);
                sums
            }
            _ => {
                let (left, right) = leaves.split_at(leaves.len() / 2);
                let (mut left, right) = rayon::join(
                    || self.tree(batches, left, gradient, pool),
                    || self.tree(batches, right, gradient, pool),
                );
                for (sum, other) in left.squares.iter_mut().zip(right.squares) {
                    *sum += other;
                }
                if let (Some(sum), Some(other)) = (&mut left.gradient, right.gradient) {
                    for (sum, other) in sum.iter_mut().zip(other) {
                        *sum += other;
                    }
                }
                left
            }
        }
    }

    /// The sum of squares over a range of a batch, tile by tile; adds the gradient's part.
    fn leaf(
        &self,
        batch: &Batch,
        range: &Range<usize>,
        mut gradient: Option<&mut [T]>,
        scratch: &mut Scratch<T>,
    ) -> f64 {
        let tile = self.tile_points(batch.orders, batch.places);
        let mut sum = 0.0;
        for first in range.clone().step_by(tile) {
            let residuals = first..(first + tile).min(range.end);
            let points = residuals.len() * batch.places;
            scratch.resize(self, batch.orders, points);
            for place in 0..batch.places {
                let offset = place * batch.count;
                batch.inputs.write(
                    offset + residuals.start..offset + residuals.end,
                    batch.orders,
                    place * residuals.len(),
                    points,
                    &mut scratch.inputs,
                );
            }
            self.forward(scratch, batch.orders, points);
            let mut seeds = std::mem::take(&mut scratch.seeds);
            for (seed, output) in seeds.iter_mut().zip(&scratch.output) {
                *seed = output.to_f64();
            }
            sum += (batch.squares)(residuals, &mut seeds);
            for (output, seed) in scratch.output.iter_mut().zip(&seeds) {
                *output = T::from_f64(*seed);
            }
            scratch.seeds = seeds;
            if let Some(gradient) = gradient.as_deref_mut() {
                self.backward(scratch, batch.orders, points, gradient);
            }
        }
        sum
    }

    /// From `scratch.inputs` to `scratch.output`; keeps each layer's matrices for the way back.
    fn forward(&self, scratch: &mut Scratch<T>, orders: Orders, points: usize) {
        let channels = orders.channels();
        for (l, layer) in self.hidden.iter().enumerate() {
            let columns = padded::<T>(layer.outputs);
            let (below, here) = scratch.layers.split_at_mut(l);
            let (input, stride) = match below.last() {
                Some(below) => (&below.activated, padded::<T>(layer.inputs)),
                None => (&scratch.inputs, layer.inputs),
            };
            let here = &mut here[0];
            // Only values have a bias; the rows of derivatives start at zero.
            for (channels, start) in [(0..1, Start::Row(&layer.bias)), (1..channels, Start::Zero)] {
                let (rows, first) = (channels.len() * points, channels.start * points);
                Product {
                    rows,
                    depth: layer.inputs,
                    columns,
                    left: &input[first * stride..],
                    left_row: stride,
                    left_depth: 1,
                    right: &layer.forward,
                    right_stride: columns,
                    start,
                    target: &mut here.affine[first * columns..],
                    target_row: columns,
                }
                .run();
            }
            elementwise::forward(
                self.activation,
                orders,
                points * columns,
                &here.affine,
                &mut here.activated,
            );
        }
        let last = &scratch.layers[self.hidden.len() - 1].activated;
        Dots {
            len: self.output.len(),
            rows: last,
            vectors: &self.output,
            target: &mut scratch.output,
            target_row: 1,
        }
        .run();
        for value in &mut scratch.output[..points] {
            *value += self.output_bias;
        }
    }

    /// From the loss's derivative by the output, in `scratch.output`, to that by the parameters, which is
    /// added to `gradient`.
    fn backward(
        &self,
        scratch: &mut Scratch<T>,
        orders: Orders,
        points: usize,
        gradient: &mut [T],
    ) {
        let rows = orders.channels() * points;
        let (hidden, last) = gradient.split_at_mut(gradient.len() - self.output.len() - 1);
        let (output, output_bias) = last.split_at_mut(self.output.len());
        for seed in &scratch.output[..points] {
            output_bias[0] += *seed;
        }
        Product {
            rows: 1,
            depth: rows,
            columns: self.output.len(),
            left: &scratch.output,
            left_row: 0,
            left_depth: 1,
            right: &scratch.layers[self.hidden.len() - 1].activated,
            right_stride: self.output.len(),
            start: Start::Target,
            target: output,
            target_row: 0,
        }
        .run();
        elementwise::outer(&scratch.output, &self.output, &mut scratch.adjoint);
        let mut end = hidden.len();
        for (l, layer) in self.hidden.iter().enumerate().rev() {
            let columns = padded::<T>(layer.outputs);
            let start = end - layer.gradient_len();
            let (weight, rest) = hidden[start..end].split_at_mut(layer.inputs * layer.main);
            let (rest, bias) = rest.split_at_mut(rest.len() - columns);
            end = start;
            let (below, here) = scratch.layers.split_at(l);
            elementwise::backward(
                self.activation,
                orders,
                points * columns,
                &here[0].affine,
                &here[0].activated,
                &mut scratch.adjoint[..rows * columns],
            );
            elementwise::add_rows(&scratch.adjoint[..points * columns], bias);
            let (input, stride) = match below.last() {
                Some(below) => (&below.activated, padded::<T>(layer.inputs)),
                None => (&scratch.inputs, layer.inputs),
            };
            Product {
                rows: layer.inputs,
                depth: rows,
                columns: layer.main,
                left: input,
                left_row: 1,
                left_depth: stride,
                right: &scratch.adjoint,
                right_stride: columns,
                start: Start::Target,
                target: weight,
                target_row: layer.main,
            }
            .run();
            if layer.rest() > 0 {
                Product {
                    rows: layer.rest(),
                    depth: rows,
                    columns: stride,
                    left: &scratch.adjoint[layer.main..],
                    left_row: 1,
                    left_depth: columns,
                    right: input,
                    right_stride: stride,
                    start: Start::Target,
                    target: rest,
                    target_row: stride,
                }
                .run();
            }
            if l > 0 {
                Product {
                    rows,
                    depth: layer.outputs,
                    columns: stride,
                    left: &scratch.adjoint,
                    left_row: columns,
                    left_depth: 1,
                    right: &layer.backward,
                    right_stride: stride,
                    start: Start::Zero,
                    target: &mut scratch.adjoint_below,
                    target_row: stride,
                }
                .run();
                std::mem::swap(&mut scratch.adjoint, &mut scratch.adjoint_below);
            }
        }
    }
}

/// What the matrices of a tile may take, so that they stay in a core's second-level cache beside the
/// weights.
const TILE_BYTES: usize = 192 << 10;

/// The points of a leaf, at least: enough to outweigh a gradient's allocation and its addition.
const LEAF_POINTS: usize = 256;
