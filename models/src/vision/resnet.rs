//! Residual networks (He et al., arXiv 1512.03385) for small images and for ImageNet, with the
//! names of torchvision's parameters.

use candle_core::{Shape, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::kernels::{
    self, ConvolveNormalize, Geometry, Normalized, Pad, ResidualBlock, ResidualChain,
};
use crate::layer::{Conv2dConfig, ConvNorm, Linear, LinearConfig, Pool2d, trace};
use crate::{Error, Init, Model, Pass, Result, Scope, Tensors};

/// Which family of residual networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResNetVariant {
    /// Section 4.2 of the paper: a 3×3 stem, three stages of `(depth - 2) / 6` two-layer blocks at
    /// 1, 2 and 4 times the width, shortcuts without parameters (option A).
    #[default]
    Cifar,
    /// The network that the FUSE authors call `resnet20`: a 3×3 stem, five stages of 5, 5, 5, 2 and
    /// 2 two-layer blocks at 1, 2, 4, 8 and 16 times the width, projection shortcuts where the
    /// channels change. \[ours\] What is known are the five stages, the 19 blocks and the 3,094,106
    /// parameters; the layout is inferred from these.
    Fuse,
    /// torchvision's networks: a 7×7 stem with stride 2 and max-pooling, four stages, projection
    /// shortcuts; depth 18 or 34 of two-layer blocks or depth 50 of bottleneck blocks.
    ImageNet,
}

/// The settings of a [`ResNet`].
///
/// ```
/// use candle_core::{DType, Device};
/// use models::vision::ResNetConfig;
/// use models::{Model, Scope};
///
/// # fn main() -> models::Result<()> {
/// let resnet20 = ResNetConfig::cifar(20).build(&Scope::new(0, DType::F32, &Device::Cpu))?;
/// assert_eq!(resnet20.tensors().parameter_count(), 269_722);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// The family.
    pub variant: ResNetVariant,
    /// The number of layers with weights, shortcuts not counted; 20 for FUSE's network, which is
    /// its name, though it has 40.
    pub depth: usize,
    /// Channels of the first stage: 16 for CIFAR and FUSE, 64 for ImageNet.
    pub width: usize,
    /// Channels of the images.
    pub in_channels: usize,
    /// Classes to tell apart.
    pub classes: usize,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self::cifar(20)
    }
}

impl ResNetConfig {
    /// The paper's network for 10 classes of small colour images; `depth` is 6 n + 2.
    pub fn cifar(depth: usize) -> Self {
        Self {
            variant: ResNetVariant::Cifar,
            depth,
            width: 16,
            in_channels: 3,
            classes: 10,
        }
    }

    /// The network of the FUSE authors for 10 classes of small colour images.
    pub fn fuse() -> Self {
        Self {
            variant: ResNetVariant::Fuse,
            ..Self::cifar(20)
        }
    }

    /// torchvision's network for the 1,000 classes of ImageNet; `depth` is 18, 34 or 50.
    pub fn imagenet(depth: usize) -> Self {
        Self {
            variant: ResNetVariant::ImageNet,
            depth,
            width: 64,
            in_channels: 3,
            classes: 1000,
        }
    }

    /// Sets the channels of the first stage.
    pub fn width(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// Sets the channels of the images.
    pub fn in_channels(self, in_channels: usize) -> Self {
        Self {
            in_channels,
            ..self
        }
    }

    /// Sets the number of classes.
    pub fn classes(self, classes: usize) -> Self {
        Self { classes, ..self }
    }

    /// Creates the network. Convolutions start Kaiming-normal over the fan-out, normalisations as
    /// the identity, the classifier as PyTorch's linear layers.
    ///
    /// # Errors
    /// When the family has no network of this depth, or a setting is 0.
    pub fn build(&self, scope: &Scope) -> Result<ResNet> {
        for (name, value) in [
            ("width", self.width),
            ("in_channels", self.in_channels),
            ("classes", self.classes),
        ] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        let (blocks, kind) = self.stages()?;
        let (kernel, stride) = match self.variant {
            ResNetVariant::Cifar | ResNetVariant::Fuse => (3, 1),
            ResNetVariant::ImageNet => (7, 2),
        };
        let stem = convolution(self.in_channels, self.width, kernel, stride);
        let stem = ConvNorm::build(stem, &scope.child("conv1"), &scope.child("bn1"))?;
        let stem_pool = match self.variant {
            ResNetVariant::Cifar | ResNetVariant::Fuse => None,
            ResNetVariant::ImageNet => Some(Pool2d::max(3, 2, 1)?),
        };
        let mut channels = self.width;
        let mut layers = Vec::new();
        for (stage, &count) in blocks.iter().enumerate() {
            let scope = scope.child(format_args!("layer{}", stage + 1));
            for block in 0..count {
                let settings = BlockSettings {
                    kind,
                    shortcut: self.variant,
                    inputs: channels,
                    width: self.width << stage,
                    stride: if stage > 0 && block == 0 { 2 } else { 1 },
                };
                layers.push(settings.build(&scope.child(block))?);
                channels = settings.outputs();
            }
        }
        Ok(ResNet {
            stem,
            stem_pool,
            blocks: layers,
            pool: Pool2d::adaptive_average(1)?,
            classifier: LinearConfig::new(channels, self.classes).build(&scope.child("fc"))?,
            tensors: scope.clone().into_tensors(),
        })
    }

    /// Its parameters.
    ///
    /// # Errors
    /// When the family has no network of this depth.
    pub(crate) fn parameter_count(&self) -> Result<f64> {
        let (blocks, kind) = self.stages()?;
        // A convolution without bias, and its normalisation.
        let layer = |inputs: f64, outputs: f64, kernel: f64| {
            inputs * outputs * kernel.powi(2) + 2.0 * outputs
        };
        let (kernel, expansion) = match (self.variant, kind) {
            (ResNetVariant::ImageNet, BlockKind::Bottleneck) => (7.0, 4.0),
            (ResNetVariant::ImageNet, BlockKind::Basic) => (7.0, 1.0),
            (ResNetVariant::Cifar | ResNetVariant::Fuse, _) => (3.0, 1.0),
        };
        let mut width = self.width as f64;
        let mut channels = width;
        let mut total = layer(self.in_channels as f64, width, kernel);
        for (stage, &count) in blocks.iter().enumerate() {
            let outputs = expansion * width;
            let block = |inputs: f64| match kind {
                BlockKind::Basic => layer(inputs, width, 3.0) + layer(width, outputs, 3.0),
                BlockKind::Bottleneck => {
                    layer(inputs, width, 1.0)
                        + layer(width, width, 3.0)
                        + layer(width, outputs, 1.0)
                }
            };
            let projects =
                self.variant != ResNetVariant::Cifar && (stage > 0 || channels != outputs);
            total += block(channels) + (count as f64 - 1.0) * block(outputs);
            total += if projects {
                layer(channels, outputs, 1.0)
            } else {
                0.0
            };
            (channels, width) = (outputs, 2.0 * width);
        }
        Ok(total + (channels + 1.0) * self.classes as f64)
    }

    /// The number of blocks in each stage, and their kind.
    fn stages(&self) -> Result<(Vec<usize>, BlockKind)> {
        match (self.variant, self.depth) {
            (ResNetVariant::Cifar, depth) if depth >= 8 && depth % 6 == 2 => {
                Ok((vec![(depth - 2) / 6; 3], BlockKind::Basic))
            }
            (ResNetVariant::Cifar, depth) => {
                let expected = "6 n + 2 for n of at least 1, such as 20, 32, 44, 56";
                Err(Error::setting("depth", depth, expected))
            }
            (ResNetVariant::Fuse, 20) => Ok((vec![5, 5, 5, 2, 2], BlockKind::Basic)),
            (ResNetVariant::Fuse, depth) => Err(Error::setting("depth", depth, "20")),
            (ResNetVariant::ImageNet, 18) => Ok((vec![2, 2, 2, 2], BlockKind::Basic)),
            (ResNetVariant::ImageNet, 34) => Ok((vec![3, 4, 6, 3], BlockKind::Basic)),
            (ResNetVariant::ImageNet, 50) => Ok((vec![3, 4, 6, 3], BlockKind::Bottleneck)),
            (ResNetVariant::ImageNet, depth) => Err(Error::setting("depth", depth, "18, 34 or 50")),
        }
    }
}

/// A residual network. Its last average is over the whole image, so images of any size will do.
#[derive(Debug, Clone)]
pub struct ResNet {
    stem: ConvNorm,
    stem_pool: Option<Pool2d>,
    blocks: Vec<Block>,
    pool: Pool2d,
    classifier: Linear,
    tensors: Tensors,
}

impl ResNet {
    /// What the last block puts out.
    fn layer_by_layer(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let mut hidden = self.stem.forward_relu(input, pass)?;
        if let Some(pool) = &self.stem_pool {
            hidden = pool.forward(&hidden)?;
        }
        for block in &self.blocks {
            hidden = block.forward(&hidden, pass)?;
        }
        Ok(hidden)
    }

    /// The same with one kernel for all blocks, and for the stem where no pooling follows.
    fn chained(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let mut chain = Chain::new(pass);
        let pooled = match &self.stem_pool {
            Some(pool) => Some(pool.forward(&self.stem.forward_relu(input, pass)?)?),
            None => None,
        };
        let input = pooled.as_ref().unwrap_or(input);
        let mut shape = input.shape().clone();
        if pooled.is_none() {
            let layer = chain.layer(&self.stem, &shape, true)?;
            shape = layer.output_shape();
            chain.blocks.push(ResidualBlock {
                layers: vec![layer],
                shortcut: kernels::Shortcut::Nothing,
            });
        }
        for block in &self.blocks {
            shape = chain.block(block, &shape)?;
        }
        chain.apply(input)
    }
}

/// A chain of residual blocks that is being built for one pass.
struct Chain<'a> {
    pass: Pass,
    blocks: Vec<ResidualBlock>,
    parameters: Vec<Var>,
    normalized: Vec<(&'a ConvNorm, Normalized)>,
}

impl<'a> Chain<'a> {
    fn new(pass: Pass) -> Self {
        Self {
            pass,
            blocks: Vec::new(),
            parameters: Vec::new(),
            normalized: Vec::new(),
        }
    }

    /// The kernel of a layer, whose parameters become the next of the chain.
    fn layer(
        &mut self,
        layer: &'a ConvNorm,
        input: &Shape,
        relu: bool,
    ) -> candle_core::Result<ConvolveNormalize> {
        let kernel = layer.kernel(input, relu, self.pass)?;
        self.parameters.extend(layer.parameters().map(Var::clone));
        self.normalized.push((layer, kernel.normalized()));
        Ok(kernel)
    }

    /// Adds a block, and returns the shape of its output.
    fn block(&mut self, block: &'a Block, input: &Shape) -> candle_core::Result<Shape> {
        let projection = match &block.shortcut {
            Shortcut::Project(projection) => Some(self.layer(projection, input, false)?),
            Shortcut::Identity | Shortcut::Pad { .. } => None,
        };
        let mut shape = input.clone();
        let mut layers = Vec::with_capacity(block.layers.len());
        for layer in &block.layers {
            let kernel = self.layer(layer, &shape, true)?;
            shape = kernel.output_shape();
            layers.push(kernel);
        }
        let shortcut = match (&block.shortcut, projection) {
            (Shortcut::Pad { stride, before, .. }, _) => {
                let (batch, in_channels, height, width) = input.dims4()?;
                kernels::Shortcut::Pad(Pad {
                    geometry: Geometry {
                        batch,
                        in_channels,
                        out_channels: shape.dims4()?.1,
                        height,
                        width,
                        kernel: 1,
                        stride: *stride,
                        padding: 0,
                        dilation: 1,
                        groups: 1,
                    },
                    before: *before,
                })
            }
            (_, Some(projection)) => kernels::Shortcut::Project(projection),
            (_, None) => kernels::Shortcut::Identity,
        };
        self.blocks.push(ResidualBlock { layers, shortcut });
        Ok(shape)
    }

    /// The chain's output. Moves the layers' running statistics.
    fn apply(self, input: &Tensor) -> candle_core::Result<Tensor> {
        let kernel = ResidualChain::new(self.blocks);
        let output = kernels::apply_composite(kernel, input, &self.parameters)?;
        for (layer, normalized) in &self.normalized {
            layer.update(normalized)?;
        }
        Ok(output)
    }
}

impl Model for ResNet {
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let hidden = if kernels::supported_on_cpu(input) && !trace::is_active() {
            self.chained(input, pass)?
        } else {
            self.layer_by_layer(input, pass)?
        };
        let pooled = self.pool.forward(&hidden)?.flatten_from(1)?;
        self.classifier.forward(&pooled)
    }

    fn tensors(&self) -> &Tensors {
        &self.tensors
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    /// Two 3×3 convolutions.
    Basic,
    /// A 3×3 convolution between two 1×1 convolutions, the last with 4 times the channels.
    Bottleneck,
}

struct BlockSettings {
    kind: BlockKind,
    shortcut: ResNetVariant,
    inputs: usize,
    width: usize,
    stride: usize,
}

impl BlockSettings {
    fn outputs(&self) -> usize {
        match self.kind {
            BlockKind::Basic => self.width,
            BlockKind::Bottleneck => 4 * self.width,
        }
    }

    fn build(&self, scope: &Scope) -> Result<Block> {
        let (inputs, width, outputs) = (self.inputs, self.width, self.outputs());
        let convolutions = match self.kind {
            BlockKind::Basic => vec![
                convolution(inputs, width, 3, self.stride),
                convolution(width, outputs, 3, 1),
            ],
            // The stride is at the 3x3 convolution, as in torchvision.
            BlockKind::Bottleneck => vec![
                convolution(inputs, width, 1, 1),
                convolution(width, width, 3, self.stride),
                convolution(width, outputs, 1, 1),
            ],
        };
        let mut layers = Vec::new();
        for (i, config) in convolutions.into_iter().enumerate() {
            let conv = scope.child(format_args!("conv{}", i + 1));
            let norm = scope.child(format_args!("bn{}", i + 1));
            layers.push(ConvNorm::build(config, &conv, &norm)?);
        }
        let shortcut = match self.shortcut {
            _ if self.stride == 1 && inputs == outputs => Shortcut::Identity,
            ResNetVariant::Cifar => Shortcut::Pad {
                stride: self.stride,
                subsample: Pool2d::average(1, self.stride, 0)?,
                before: (outputs - inputs) / 2,
                after: (outputs - inputs).div_ceil(2),
            },
            ResNetVariant::Fuse | ResNetVariant::ImageNet => {
                let scope = scope.child("downsample");
                let config = convolution(inputs, outputs, 1, self.stride);
                Shortcut::Project(ConvNorm::build(config, &scope.child(0), &scope.child(1))?)
            }
        };
        Ok(Block { layers, shortcut })
    }
}

/// A stack of convolutions whose output is added to a shortcut around it.
#[derive(Debug, Clone)]
struct Block {
    layers: Vec<ConvNorm>,
    shortcut: Shortcut,
}

#[derive(Debug, Clone)]
enum Shortcut {
    Identity,
    /// Every `stride`-th pixel, with channels of zeros on either side (option A).
    Pad {
        stride: usize,
        subsample: Pool2d,
        before: usize,
        after: usize,
    },
    /// A normalised 1×1 convolution (option B).
    Project(ConvNorm),
}

impl Block {
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let shortcut = match &self.shortcut {
            Shortcut::Identity => input.clone(),
            Shortcut::Pad {
                subsample,
                before,
                after,
                ..
            } => subsample
                .forward(input)?
                .pad_with_zeros(1, *before, *after)?,
            Shortcut::Project(projection) => projection.forward(input, pass)?,
        };
        let mut hidden = input.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            hidden = if i + 1 == self.layers.len() {
                layer.forward_add_relu(&hidden, &shortcut, pass)?
            } else {
                layer.forward_relu(&hidden, pass)?
            };
        }
        Ok(hidden)
    }
}

/// A convolution that keeps the image's size up to its stride, initialised as the paper does.
fn convolution(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Conv2dConfig {
    Conv2dConfig {
        stride,
        padding: kernel / 2,
        init: Some(Init::kaiming_normal(outputs * kernel * kernel)),
        ..Conv2dConfig::new(inputs, outputs, kernel)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::{DType, Device};

    use super::*;
    use crate::testing::{
        self, assert_same_buffers, assert_same_gradients_again, assert_same_paths,
        before_the_classifier,
    };

    /// The chain is for CPUs alone.
    fn scope() -> Scope {
        Scope::new(0, DType::F64, &Device::Cpu)
    }

    fn values(shape: &[usize]) -> Tensor {
        testing::values(shape).to_device(&Device::Cpu).unwrap()
    }

    #[test]
    fn a_chain_agrees_with_its_layers() {
        for config in [
            ResNetConfig::cifar(8).width(8),
            ResNetConfig::imagenet(18).width(4),
            ResNetConfig::imagenet(50).width(2),
        ] {
            let model = config.build(&scope()).unwrap();
            let tensors = before_the_classifier(&model.tensors);
            let input = Var::from_tensor(&values(&[3, 3, 19, 16])).unwrap();
            for pass in [Pass::Train { seed: 0 }, Pass::Eval] {
                let layers = || model.layer_by_layer(&input, pass);
                assert_same_paths(&tensors, &input, || model.chained(&input, pass), layers);
            }
        }
    }

    #[test]
    fn a_chain_moves_running_statistics_and_can_be_differentiated_again() {
        let [chained, layered] =
            [(); 2].map(|()| ResNetConfig::cifar(8).width(8).build(&scope()).unwrap());
        let (input, pass) = (values(&[4, 3, 12, 10]), Pass::Train { seed: 0 });
        let output = chained.chained(&input, pass).unwrap();
        layered.layer_by_layer(&input, pass).unwrap();
        assert_same_buffers(&chained.tensors, &layered.tensors);
        assert_same_gradients_again(&output, &before_the_classifier(&chained.tensors));
    }
}
