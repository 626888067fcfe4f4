//! Layers whose gradients are right, each created by its configuration in a [`Scope`](crate::Scope).

mod activation;
mod attention;
mod batch_norm;
mod conv2d;
mod conv_norm;
mod dropout;
mod embedding;
mod group_norm;
mod layer_norm;
mod linear;
mod pool;
#[cfg(test)]
pub(crate) mod testing;

use candle_core::{DType, Tensor};

pub use activation::Activation;
pub use attention::CausalAttention;
pub use batch_norm::{BatchNorm2d, BatchNorm2dConfig};
pub use conv_norm::ConvNorm;
pub use conv2d::{Conv2d, Conv2dConfig};
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingConfig};
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::{Linear, LinearConfig, WeightLayout};
pub use pool::Pool2d;
pub(crate) use pool::{Reduction, Window};

/// Half precision as f32, for tensor operations that add up, and whose gradients do; other types as they are.
pub(crate) fn widened(tensor: &Tensor) -> candle_core::Result<Tensor> {
    tensor.to_dtype(widened_dtype(tensor.dtype()))
}

/// The type of [`widened`] tensors.
pub(crate) fn widened_dtype(dtype: DType) -> DType {
    match dtype {
        DType::BF16 | DType::F16 => DType::F32,
        other => other,
    }
}
