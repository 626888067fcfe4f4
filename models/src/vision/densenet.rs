//! Densely connected networks (Huang et al., arXiv 1608.06993) with three blocks, for small images.

use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::kernels::{
    self, DenseBlock, DenseChain, Geometry, Normalization, NormalizeConvolve, Normalized,
};
use crate::layer::{
    BatchNorm2d, BatchNorm2dConfig, Conv2d, Conv2dConfig, Linear, LinearConfig, Pool2d, trace,
};
use crate::{Error, Init, Model, Pass, Result, Scope, Tensors};

/// The settings of a [`DenseNet`].
///
/// The FUSE authors train depth 5 without bottleneck, in which no dense layer is left: a network of
/// three convolutions.
///
/// ```
/// use candle_core::{DType, Device};
/// use models::vision::DenseNetConfig;
/// use models::{Model, Scope};
///
/// # fn main() -> models::Result<()> {
/// let config = DenseNetConfig { depth: 5, ..DenseNetConfig::default() };
/// let net = config.build(&Scope::new(0, DType::F32, &Device::Cpu))?;
/// assert_eq!(net.tensors().parameter_count(), 4_682);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenseNetConfig {
    /// The number of layers with weights; each of the three blocks has `(depth - 4) / 3` layers,
    /// rounded down, or half as many bottlenecks.
    pub depth: usize,
    /// The channels that each layer adds; the first convolution has twice as many.
    pub growth: usize,
    /// The share of the channels that a transition between blocks keeps.
    pub reduction: f64,
    /// Whether a 1×1 convolution to 4 times the growth comes before each 3×3 convolution.
    pub bottleneck: bool,
    /// Channels of the images.
    pub in_channels: usize,
    /// Classes to tell apart.
    pub classes: usize,
}

impl Default for DenseNetConfig {
    /// Depth 10, growth 32, reduction 0.5, no bottleneck, for 10 classes of colour images.
    fn default() -> Self {
        Self {
            depth: 10,
            growth: 32,
            reduction: 0.5,
            bottleneck: false,
            in_channels: 3,
            classes: 10,
        }
    }
}

impl DenseNetConfig {
    /// The number of layers in each of the three blocks.
    fn layers_per_block(&self) -> usize {
        self.depth.saturating_sub(4) / 3 / if self.bottleneck { 2 } else { 1 }
    }

    /// Its parameters.
    pub(crate) fn parameter_count(&self) -> f64 {
        let (layers, growth) = (self.layers_per_block() as f64, self.growth as f64);
        let mut channels = 2.0 * growth;
        let mut total = 9.0 * self.in_channels as f64 * channels;
        for block in 1..=3 {
            // The channels that the block's layers see, added up.
            let seen = layers * channels + growth * layers * (layers - 1.0) / 2.0;
            total += match self.bottleneck {
                true => seen * (2.0 + 4.0 * growth) + layers * (8.0 + 36.0 * growth) * growth,
                false => seen * (2.0 + 9.0 * growth),
            };
            channels += layers * growth;
            if block < 3 {
                let kept = (channels * self.reduction).floor();
                total += channels * (2.0 + kept);
                channels = kept;
            }
        }
        total + 2.0 * channels + (channels + 1.0) * self.classes as f64
    }

    /// Creates the network. Convolutions start Kaiming-normal over the fan-out, normalisations as
    /// the identity, the classifier as PyTorch's linear layers with a bias of zero.
    ///
    /// # Errors
    /// When `depth` is below 4, `reduction` is not within (0, 1], another setting is 0, or a
    /// transition would keep no channel.
    pub fn build(&self, scope: &Scope) -> Result<DenseNet> {
        if self.depth < 4 {
            return Err(Error::setting("depth", self.depth, "at least 4"));
        }
        for (name, value) in [
            ("growth", self.growth),
            ("in_channels", self.in_channels),
            ("classes", self.classes),
        ] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        if !(self.reduction > 0.0 && self.reduction <= 1.0) {
            let expected = "more than 0 and at most 1";
            return Err(Error::setting("reduction", self.reduction, expected));
        }
        let layers_per_block = self.layers_per_block();
        let mut channels = 2 * self.growth;
        let stem = convolution(self.in_channels, channels, 3).build(&scope.child("conv1"))?;
        let mut blocks = Vec::new();
        for block in 1..=3 {
            let mut layers = Vec::new();
            let layer_scope = scope.child(format_args!("block{block}")).child("layer");
            for layer in 0..layers_per_block {
                let scope = layer_scope.child(layer);
                layers.push(Layer::new(channels, self.growth, self.bottleneck, &scope)?);
                channels += self.growth;
            }
            let transition = if block < 3 {
                let kept = (channels as f64 * self.reduction) as usize;
                if kept == 0 {
                    let expected = format!("enough to keep one of {channels} channels");
                    return Err(Error::setting("reduction", self.reduction, expected));
                }
                let scope = scope.child(format_args!("trans{block}"));
                let transition = Transition {
                    conv: NormConv::new(channels, kept, 1, 1, &scope)?,
                    pool: Pool2d::average(2, 2, 0)?,
                };
                channels = kept;
                Some(transition)
            } else {
                None
            };
            blocks.push(Block { layers, transition });
        }
        let norm = BatchNorm2dConfig::new(channels).build(&scope.child("bn1"))?;
        let classifier = LinearConfig {
            init: Some(Init::fan_in_uniform(channels)),
            ..LinearConfig::new(channels, self.classes)
        };
        Ok(DenseNet {
            stem,
            blocks,
            norm,
            pool: Pool2d::adaptive_average(1)?,
            classifier: classifier.build(&scope.child("fc"))?,
            tensors: scope.clone().into_tensors(),
        })
    }
}

/// A densely connected network. Its last average is over the whole image, which for 32×32 pixels is
/// the 8×8 window of the original.
#[derive(Debug, Clone)]
pub struct DenseNet {
    stem: Conv2d,
    blocks: Vec<Block>,
    norm: BatchNorm2d,
    pool: Pool2d,
    classifier: Linear,
    tensors: Tensors,
}

impl DenseNet {
    /// The normalised features of the last block.
    fn layer_by_layer(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let mut hidden = self.stem.forward(input)?;
        for block in &self.blocks {
            for layer in &block.layers {
                hidden = Tensor::cat(&[&hidden, &layer.forward(&hidden, pass)?], 1)?;
            }
            if let Some(transition) = &block.transition {
                hidden = transition.forward(&hidden, pass)?;
            }
        }
        self.norm.forward_relu(&hidden, pass)
    }

    /// The same in one kernel, which keeps less for the backward pass.
    fn chained(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let mut chain = Chain {
            pass,
            parameters: vec![self.stem.weight().clone()],
            normalized: Vec::new(),
        };
        let stem = self.stem.geometry(input.shape())?;
        let mut features = output_of(&stem);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let mut layers = Vec::with_capacity(block.layers.len());
            for layer in &block.layers {
                let mut steps = Vec::with_capacity(layer.0.len());
                let mut added = features;
                for step in &layer.0 {
                    let step = chain.step(step, None, added)?;
                    added = output_of(&step.geometry);
                    steps.push(step);
                }
                features[1] += added[1];
                layers.push(steps);
            }
            let [_, channels, height, width] = features;
            let transition = match &block.transition {
                Some(Transition { conv, pool }) => Some(chain.step(conv, Some(pool), features)?),
                None => None,
            };
            if let Some(step) = &transition {
                features = output_of(&step.geometry);
            }
            blocks.push(DenseBlock {
                channels,
                plane: height * width,
                layers,
                transition,
            });
        }
        let kernel = DenseChain {
            stem,
            blocks,
            normalization: chain.normalization(&self.norm, features)?,
            shape: features.as_slice().into(),
            saved: kernels::Saved::default(),
        };
        let output = kernels::apply_composite(kernel, input, &chain.parameters)?;
        for (norm, normalized) in &chain.normalized {
            norm.update(&normalized.normalization, normalized.count)?;
        }
        Ok(output)
    }
}

/// The shape of a convolution's output.
fn output_of(geometry: &Geometry) -> [usize; 4] {
    let (height, width) = (geometry.out_height(), geometry.out_width());
    [geometry.batch, geometry.out_channels, height, width]
}

/// What the layers of a chain have in common while it is built for one pass.
struct Chain<'a> {
    pass: Pass,
    parameters: Vec<Var>,
    normalized: Vec<(&'a BatchNorm2d, Normalized)>,
}

impl<'a> Chain<'a> {
    /// A normalisation of an input of this shape, whose parameters become the next of the chain.
    fn normalization(
        &mut self,
        norm: &'a BatchNorm2d,
        input: [usize; 4],
    ) -> candle_core::Result<Normalization> {
        let (batch, _, height, width) = norm.check(&input.as_slice().into())?;
        let normalization = norm.normalization(self.pass, true)?;
        self.parameters.extend(norm.parameters().map(Var::clone));
        let normalized = Normalized {
            normalization: normalization.clone(),
            count: batch * height * width,
        };
        self.normalized.push((norm, normalized));
        Ok(normalization)
    }

    fn step(
        &mut self,
        step: &'a NormConv,
        pool: Option<&Pool2d>,
        input: [usize; 4],
    ) -> candle_core::Result<NormalizeConvolve> {
        let normalization = self.normalization(&step.norm, input)?;
        self.parameters.push(step.conv.weight().clone());
        let pool = pool.map(|pool| pool.kernel(input)).transpose()?;
        let convolved = match &pool {
            Some(pool) => pool.output_shape(),
            None => input.as_slice().into(),
        };
        Ok(NormalizeConvolve {
            normalization,
            pool,
            geometry: step.conv.geometry(&convolved)?,
        })
    }
}

impl Model for DenseNet {
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

#[derive(Debug, Clone)]
struct Block {
    layers: Vec<Layer>,
    transition: Option<Transition>,
}

/// One or two convolutions, each behind normalisation and ReLU.
#[derive(Debug, Clone)]
struct Layer(Vec<NormConv>);

impl Layer {
    fn new(inputs: usize, growth: usize, bottleneck: bool, scope: &Scope) -> Result<Self> {
        Ok(Self(if bottleneck {
            vec![
                NormConv::new(inputs, 4 * growth, 1, 1, scope)?,
                NormConv::new(4 * growth, growth, 3, 2, scope)?,
            ]
        } else {
            vec![NormConv::new(inputs, growth, 3, 1, scope)?]
        }))
    }

    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let mut hidden = input.clone();
        for step in &self.0 {
            hidden = step.conv.forward(&step.norm.forward_relu(&hidden, pass)?)?;
        }
        Ok(hidden)
    }
}

#[derive(Debug, Clone)]
struct Transition {
    conv: NormConv,
    pool: Pool2d,
}

impl Transition {
    /// The original averages after its 1×1 convolution; the two commute, and this order convolves a
    /// quarter of the pixels.
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let hidden = self.conv.norm.forward_relu(input, pass)?;
        self.conv.conv.forward(&self.pool.forward(&hidden)?)
    }
}

#[derive(Debug, Clone)]
struct NormConv {
    norm: BatchNorm2d,
    conv: Conv2d,
}

impl NormConv {
    /// The `number`-th pair `bn`, `conv` of a scope.
    fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        number: usize,
        scope: &Scope,
    ) -> Result<Self> {
        let norm = scope.child(format_args!("bn{number}"));
        let conv = scope.child(format_args!("conv{number}"));
        Ok(Self {
            norm: BatchNorm2dConfig::new(inputs).build(&norm)?,
            conv: convolution(inputs, outputs, kernel).build(&conv)?,
        })
    }
}

/// A convolution without bias that keeps the image's size.
fn convolution(inputs: usize, outputs: usize, kernel: usize) -> Conv2dConfig {
    Conv2dConfig {
        padding: kernel / 2,
        bias: false,
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

    const TRAIN: Pass = Pass::Train { seed: 0 };

    /// The chain is for CPUs alone.
    fn build(depth: usize, bottleneck: bool) -> DenseNet {
        let config = DenseNetConfig {
            depth,
            growth: 4,
            bottleneck,
            ..DenseNetConfig::default()
        };
        config
            .build(&Scope::new(0, DType::F64, &Device::Cpu))
            .unwrap()
    }

    fn images() -> Tensor {
        let values = testing::values(&[3, 3, 13, 10]);
        values.to_device(&Device::Cpu).unwrap()
    }

    #[test]
    fn a_chain_agrees_with_its_layers() {
        // Without a layer in a block; with three; and with two bottlenecks.
        for (depth, bottleneck) in [(5, false), (13, false), (16, true)] {
            let model = build(depth, bottleneck);
            let input = Var::from_tensor(&images()).unwrap();
            for pass in [TRAIN, Pass::Eval] {
                let layers = || model.layer_by_layer(&input, pass);
                let chain = || model.chained(&input, pass);
                let tensors = before_the_classifier(&model.tensors);
                assert_same_paths(&tensors, &input, chain, layers);
            }
        }
    }

    #[test]
    fn a_chain_moves_running_statistics_and_can_be_differentiated_again() {
        let [chained, layered] = [(); 2].map(|()| build(16, true));
        let output = chained.chained(&images(), TRAIN).unwrap();
        layered.layer_by_layer(&images(), TRAIN).unwrap();
        assert_same_buffers(&chained.tensors, &layered.tensors);
        assert_same_gradients_again(&output, &before_the_classifier(&chained.tensors));
    }
}
