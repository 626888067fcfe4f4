//! Image classifiers, from `[batch, channels, height, width]` to logits `[batch, classes]`.

mod densenet;
mod lenet;
mod resnet;

pub use densenet::{DenseNet, DenseNetConfig};
pub use lenet::{LeNet, LeNetConfig};
pub use resnet::{ResNet, ResNetConfig, ResNetVariant};
