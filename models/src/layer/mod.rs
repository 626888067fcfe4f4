//! Layers whose gradients are right, each created by its configuration in a
//! [`Scope`](crate::Scope).

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
pub(crate) mod trace;

pub use attention::CausalAttention;
pub use batch_norm::{BatchNorm2d, BatchNorm2dConfig};
pub use conv_norm::ConvNorm;
pub use conv2d::{Conv2d, Conv2dConfig};
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingConfig};
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::{Linear, LinearConfig};
pub use pool::Pool2d;

pub use crate::options::{Activation, WeightLayout};
