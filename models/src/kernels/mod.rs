//! Kernels with their own backward pass: on the CPU for f32 and f64, on NVIDIA GPUs for half
//! precision too.
//!
//! A kernel is a [`Function`] of flat, contiguous slices. [`Apply::apply`] makes it a node of
//! Candle's graph. Work is cut into pieces of a fixed size and partial sums are combined in a fixed
//! order, so that results have the same bits on any number of threads. Layers use a kernel where
//! [`supported`] says so, and tensor operations elsewhere. What a function does on GPUs is in
//! `cuda`.

mod activation;
mod attention;
mod batch_norm;
mod composite;
mod conv2d;
mod conv_norm;
mod conv_pool;
mod convolution;
mod cross_entropy;
#[cfg(feature = "cuda")]
mod cuda;
mod dense_chain;
mod dropout;
mod embedding;
mod float;
mod function;
mod group_norm;
mod layer_norm;
mod linear;
mod linear_loss;
mod matmul;
mod node;
mod normalization;
mod parallel;
mod pool;
mod proxy;
mod residual;
mod saved;
#[cfg(test)]
mod tests;
mod transformer;
mod vector;

pub(crate) use activation::Activate;
pub(crate) use attention::Attend;
pub(crate) use batch_norm::BatchNormalize;
pub(crate) use composite::apply_composite;
pub(crate) use conv_norm::{ConvolveNormalize, Normalized};
pub(crate) use conv_pool::ConvolvePool;
pub(crate) use conv2d::Convolve;
pub(crate) use convolution::Geometry;
pub(crate) use cross_entropy::MeanCrossEntropy;
pub(crate) use dense_chain::{DenseBlock, DenseChain, NormalizeConvolve};
pub(crate) use dropout::{DropOut, DropoutMask};
pub(crate) use embedding::LookUp;
pub(crate) use function::{convolution_supported, supported, supported_on_cpu};
pub(crate) use group_norm::GroupNormalize;
pub(crate) use layer_norm::LayerNormalize;
pub(crate) use linear::Affine;
pub(crate) use linear_loss::LinearCrossEntropy;
pub(crate) use node::Apply;
pub(crate) use normalization::{Moments, Normalization};
pub(crate) use pool::Pool;
pub(crate) use proxy::{ProxyGradients, proxies};
pub(crate) use residual::{Pad, ResidualBlock, ResidualChain, Shortcut};
pub(crate) use saved::Saved;
pub(crate) use transformer::{TransformerBlock, TransformerChain};

use float::Float;
use function::Function;
use parallel::{column_sums, for_each_row_block, from_row_blocks, map_chunks};
use vector::vectorized;
