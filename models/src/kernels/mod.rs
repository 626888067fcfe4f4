//! Kernels with their own backward: on the CPU for `f32` and `f64`, on NVIDIA cards for half precision
//! too.
//!
//! A kernel is a [`Function`] of flat, contiguous slices; [`apply`](function::Apply::apply) makes it
//! a node of Candle's graph. Work is cut into pieces of a fixed size and partial sums are combined
//! in a fixed order, so results have the same bits whatever the number of threads. Layers use a
//! kernel where [`supported`] says so and plain tensor operations elsewhere. What a function does on
//! cards is in `cuda`.

mod activation;
mod attention;
mod batch_norm;
mod buffer;
mod composite;
mod conv2d;
mod conv_pool;
mod convolution;
mod cross_entropy;
#[cfg(feature = "cuda")]
mod cuda;
mod dropout;
mod embedding;
mod float;
mod function;
mod group_norm;
mod images;
mod kept;
mod layer_norm;
mod linear;
mod linear_loss;
mod matmul;
mod parallel;
mod pool;
mod stand_in;
mod transformer;
mod vector;

pub(crate) use activation::Activate;
pub(crate) use attention::CausalAttention;
pub(crate) use batch_norm::{BatchNorm, ConvolveNormalize, Moments, Normalization};
pub(crate) use composite::apply_composite;
pub(crate) use conv_pool::ConvolvePool;
pub(crate) use conv2d::Convolve;
pub(crate) use convolution::Geometry;
pub(crate) use cross_entropy::MeanCrossEntropy;
pub(crate) use dropout::{DropOut, Noise};
pub(crate) use embedding::LookUp;
pub(crate) use float::Float;
pub(crate) use function::{Apply, Function, convolution_supported, supported, supported_on_cpu};
pub(crate) use group_norm::GroupNormalize;
pub(crate) use kept::Kept;
pub(crate) use layer_norm::LayerNormalize;
pub(crate) use linear::Affine;
pub(crate) use linear_loss::LinearCrossEntropy;
pub(crate) use parallel::{column_sums, for_each_row_block, map_chunks, vectorized};
pub(crate) use pool::Pool;
pub(crate) use stand_in::{Gradients, stand_ins};
pub(crate) use transformer::TransformerBlock;
