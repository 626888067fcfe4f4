//! Image classifiers, from `[batch, channels, height, width]` to logits `[batch, classes]`.

mod resnet;

pub use resnet::{ResNet, ResNetConfig, ResNetVariant};
