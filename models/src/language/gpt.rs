//! The GPT-2 architecture (Radford et al. 2019).
//!
//! Parameters have the names and layouts that Hugging Face's `GPT2LMHeadModel` gives them.

use candle_core::{Tensor, Var, bail};
use serde::{Deserialize, Serialize};

use crate::checkpoint::checkpoint;
use crate::layer::{
    Activation, CausalAttention, Dropout, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig,
    Linear, LinearConfig, WeightLayout, trace,
};
use crate::loss::CrossEntropy;
use crate::{Error, Init, Model, Pass, Result, Scope, Tensors, kernels};

/// The settings of a [`Gpt`]. Their serialised form may begin with a `preset` (`nano`, `mini`,
/// which is the default, or `small`), of which the settings that follow override parts:
///
/// ```
/// use models::language::{GptConfig, GptPreset};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: GptConfig = serde_json::from_str(r#"{ "preset": "small", "dropout": 0.0 }"#)?;
/// assert_eq!(config, GptConfig { dropout: 0.0, ..GptPreset::Small.config() });
/// # Ok(())
/// # }
/// ```
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use models::language::{GptConfig, GptPreset};
/// use models::{Model, Pass, Scope};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = GptConfig { vocabulary: 65, ..GptPreset::Nano.config() };
/// let gpt = config.build(&Scope::new(0, DType::F32, &Device::Cpu))?;
/// let tokens = Tensor::zeros((2, 16), DType::U32, &Device::Cpu)?;
/// assert_eq!(gpt.forward(&tokens, Pass::Eval)?.dims(), [2, 16, 65]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "GptSettings")]
pub struct GptConfig {
    /// Distinct tokens.
    pub vocabulary: usize,
    /// The longest sequence, in tokens.
    pub context: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Attention heads of each block; they share the width.
    pub heads: usize,
    /// Elements of the vector at each position.
    pub width: usize,
    /// The probability of dropping an element of the embeddings, of the attention probabilities and
    /// of what each half block adds to the residual stream.
    pub dropout: f64,
    /// The standard deviation of the first weights; that of each block's two projections into the
    /// residual stream is divided by `sqrt(2 layers)`.
    pub init_std: f64,
    /// Whether training keeps only what goes into each block and computes the block again in the
    /// backward pass (Chen et al., arXiv 1604.06174): less memory, one more forward pass, the same
    /// gradients bit for bit.
    pub gradient_checkpointing: bool,
}

/// The serialised form of a [`GptConfig`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GptSettings {
    preset: Option<GptPreset>,
    vocabulary: Option<usize>,
    context: Option<usize>,
    layers: Option<usize>,
    heads: Option<usize>,
    width: Option<usize>,
    dropout: Option<f64>,
    init_std: Option<f64>,
    gradient_checkpointing: Option<bool>,
}

impl From<GptSettings> for GptConfig {
    fn from(settings: GptSettings) -> Self {
        let preset = settings.preset.unwrap_or_default().config();
        let checkpointing = settings.gradient_checkpointing;
        Self {
            vocabulary: settings.vocabulary.unwrap_or(preset.vocabulary),
            context: settings.context.unwrap_or(preset.context),
            layers: settings.layers.unwrap_or(preset.layers),
            heads: settings.heads.unwrap_or(preset.heads),
            width: settings.width.unwrap_or(preset.width),
            dropout: settings.dropout.unwrap_or(preset.dropout),
            init_std: settings.init_std.unwrap_or(preset.init_std),
            gradient_checkpointing: checkpointing.unwrap_or(preset.gradient_checkpointing),
        }
    }
}

/// Named sizes of a [`Gpt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GptPreset {
    /// For tests: 2 layers of width 32 with 2 heads, 32 tokens of context, a vocabulary of bytes.
    Nano,
    /// For a CPU: 4 layers of width 128 with 4 heads, 64 tokens of context, a vocabulary of bytes.
    #[default]
    Mini,
    /// OpenAI's smallest GPT-2: 124 million parameters.
    Small,
}

impl GptPreset {
    /// The settings of this size.
    pub fn config(self) -> GptConfig {
        let mini = GptConfig {
            vocabulary: 256,
            context: 64,
            layers: 4,
            heads: 4,
            width: 128,
            dropout: 0.0,
            init_std: 0.02,
            gradient_checkpointing: false,
        };
        match self {
            Self::Nano => GptConfig {
                context: 32,
                layers: 2,
                heads: 2,
                width: 32,
                ..mini
            },
            Self::Mini => mini,
            Self::Small => GptConfig {
                vocabulary: 50_257,
                context: 1024,
                layers: 12,
                heads: 12,
                width: 768,
                dropout: 0.1,
                ..mini
            },
        }
    }
}

impl Default for GptConfig {
    fn default() -> Self {
        GptPreset::default().config()
    }
}

impl GptConfig {
    /// Its parameters.
    pub(crate) fn parameter_count(&self) -> f64 {
        let width = self.width as f64;
        let embeddings = (self.vocabulary as f64 + self.context as f64) * width;
        embeddings + self.layers as f64 * (12.0 * width + 13.0) * width + 2.0 * width
    }

    /// Creates the model. Input embedding and output map share the parameter
    /// `transformer.wte.weight`.
    ///
    /// # Errors
    /// When a size is 0, the heads do not divide the width, the dropout is outside `[0, 1)`, or
    /// `init_std` is negative.
    pub fn build(&self, scope: &Scope) -> Result<Gpt> {
        self.validate()?;
        let root = scope.child("transformer");
        let normal = Init::Normal { std: self.init_std };
        let embedding = |count, name| {
            EmbeddingConfig {
                count,
                width: self.width,
                init: normal,
            }
            .build(&root.child(name))
        };
        let tokens = embedding(self.vocabulary, "wte")?;
        let positions = embedding(self.context, "wpe")?;
        let blocks = root.child("h");
        Ok(Gpt {
            head: Linear::tied(tokens.weight()),
            tokens,
            positions,
            dropout: Dropout::new(self.dropout, &root.child("drop"))?,
            blocks: (0..self.layers)
                .map(|index| Block::new(self, &blocks.child(index)))
                .collect::<Result<_>>()?,
            norm: LayerNormConfig::new(self.width).build(&root.child("ln_f"))?,
            context: self.context,
            gradient_checkpointing: self.gradient_checkpointing,
            tensors: scope.clone().into_tensors(),
        })
    }

    fn validate(&self) -> Result<()> {
        for (name, value) in [
            ("vocabulary", self.vocabulary),
            ("context", self.context),
            ("layers", self.layers),
            ("heads", self.heads),
            ("width", self.width),
        ] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            let expected = format!("a divisor of the width, {}", self.width);
            return Err(Error::setting("heads", self.heads, expected));
        }
        if !(self.init_std.is_finite() && self.init_std >= 0.0) {
            let expected = "a finite number that is not negative";
            return Err(Error::setting("init_std", self.init_std, expected));
        }
        Ok(())
    }
}

/// A decoder-only transformer with layer normalisation before each half block.
#[derive(Debug, Clone)]
pub struct Gpt {
    tokens: Embedding,
    positions: Embedding,
    dropout: Dropout,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
    context: usize,
    gradient_checkpointing: bool,
    tensors: Tensors,
}

impl Model for Gpt {
    fn forward(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        self.head.forward(&self.hidden(input, pass)?)
    }

    fn loss(&self, input: &Tensor, targets: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let hidden = self.hidden(input, pass)?;
        self.head
            .cross_entropy(&hidden, &CrossEntropy::default(), targets)
    }

    fn tensors(&self) -> &Tensors {
        &self.tensors
    }
}

impl Gpt {
    /// What the output map is applied to.
    fn hidden(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let (batch, time) = input.dims2()?;
        if time > self.context {
            bail!("gpt: {time} tokens exceed the context of {}", self.context);
        }
        let positions = Tensor::arange(0, time as u32, input.device())?
            .expand((batch, time))?
            .contiguous()?;
        let embedded = (self.tokens.forward(input)? + self.positions.forward(&positions)?)?;
        let mut hidden = self.dropout.forward(&embedded, pass)?;
        if self.gradient_checkpointing && pass.is_train() {
            for block in &self.blocks {
                let again = [block.clone()];
                hidden = checkpoint(&hidden, &block.parameters, move |hidden| {
                    forward(&again, hidden, pass)
                })?;
            }
        } else {
            hidden = forward(&self.blocks, &hidden, pass)?;
        }
        self.norm.forward(&hidden)
    }
}

/// The output of blocks one after another.
fn forward(blocks: &[Block], input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
    // A summary wants to see each layer.
    if !kernels::supported_on_cpu(input) || trace::is_active() {
        let mut hidden = input.clone();
        for block in blocks {
            hidden = block.layer_by_layer(&hidden, pass)?;
        }
        return Ok(hidden);
    }
    let mut kernels = Vec::with_capacity(blocks.len());
    let mut parameters = Vec::new();
    for block in blocks {
        kernels.push(block.kernel(input, pass)?);
        parameters.extend_from_slice(&block.parameters);
    }
    let chain = kernels::TransformerChain {
        blocks: kernels,
        saved: kernels::Saved::default(),
    };
    kernels::apply_composite(chain, input, &parameters)
}

#[derive(Debug, Clone)]
struct Block {
    /// The weight and the bias of each layer, in their order.
    parameters: Vec<Var>,
    attention_norm: LayerNorm,
    attention_in: Linear,
    attention: CausalAttention,
    attention_out: Linear,
    attention_dropout: Dropout,
    mlp_norm: LayerNorm,
    mlp_in: Linear,
    mlp_out: Linear,
    mlp_dropout: Dropout,
}

impl Block {
    fn new(config: &GptConfig, scope: &Scope) -> Result<Self> {
        let width = config.width;
        let residual_std = config.init_std / (2.0 * config.layers as f64).sqrt();
        let linear = |inputs, outputs, std, scope: &Scope| {
            LinearConfig {
                layout: WeightLayout::InputOutput,
                init: Some(Init::Normal { std }),
                ..LinearConfig::new(inputs, outputs)
            }
            .build(scope)
        };
        let norm = |name| LayerNormConfig::new(width).build(&scope.child(name));
        let dropout = |scope: &Scope, name| Dropout::new(config.dropout, &scope.child(name));
        let (attention, mlp) = (scope.child("attn"), scope.child("mlp"));
        let std = config.init_std;
        let mut block = Self {
            parameters: Vec::new(),
            attention_norm: norm("ln_1")?,
            attention_in: linear(width, 3 * width, std, &attention.child("c_attn"))?,
            attention: CausalAttention {
                heads: config.heads,
                dropout: dropout(&attention, "attn_dropout")?,
            },
            attention_out: linear(width, width, residual_std, &attention.child("c_proj"))?,
            attention_dropout: dropout(&attention, "resid_dropout")?,
            mlp_norm: norm("ln_2")?,
            mlp_in: linear(width, 4 * width, std, &mlp.child("c_fc"))?,
            mlp_out: linear(4 * width, width, residual_std, &mlp.child("c_proj"))?,
            mlp_dropout: dropout(&mlp, "dropout")?,
        };
        block.parameters = scope.parameters();
        Ok(block)
    }

    /// The kernel for an input of this shape.
    fn kernel(&self, input: &Tensor, pass: Pass) -> candle_core::Result<kernels::TransformerBlock> {
        let (batch, time, width) = input.dims3()?;
        let heads = self.attention.heads;
        Ok(kernels::TransformerBlock {
            attention: kernels::Attend {
                batch,
                time,
                heads,
                head_width: width / heads,
                dropout: self.attention.dropout.mask(pass),
            },
            eps: self.attention_norm.eps(),
            dropout: [self.attention_dropout, self.mlp_dropout].map(|drop| drop.mask(pass)),
        })
    }

    fn layer_by_layer(&self, input: &Tensor, pass: Pass) -> candle_core::Result<Tensor> {
        let packed = self
            .attention_in
            .forward(&self.attention_norm.forward(input)?)?;
        let attended = self
            .attention_out
            .forward(&self.attention.forward(&packed, pass)?)?;
        let middle = (input + self.attention_dropout.forward(&attended, pass)?)?;
        let hidden = self.mlp_in.forward(&self.mlp_norm.forward(&middle)?)?;
        let added = self.mlp_out.forward_activated(Activation::Gelu, &hidden)?;
        middle + self.mlp_dropout.forward(&added, pass)?
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{assert_same_paths, scope, values};

    #[test]
    fn a_chain_of_blocks_is_its_layers_one_by_one() {
        for (dropout, pass) in [
            (0.0, Pass::Eval),
            (0.3, Pass::Eval),
            (0.3, Pass::Train { seed: 2 }),
        ] {
            let config = GptConfig {
                dropout,
                init_std: 0.3,
                heads: 3,
                width: 12,
                ..GptConfig::default()
            };
            let scope = scope();
            let blocks = [0, 1].map(|index| Block::new(&config, &scope.child(index)).unwrap());
            let parameters = blocks.iter().flat_map(|block| &block.parameters);
            for (seed, var) in parameters.enumerate() {
                let noise = (values(var.dims()) * (0.1 * seed as f64)).unwrap();
                var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
            }
            let input = Var::from_tensor(&values(&[2, 70, 12])).unwrap();
            assert_same_paths(
                &scope.into_tensors(),
                &input,
                || forward(&blocks, &input, pass),
                || {
                    let hidden = blocks[0].layer_by_layer(&input, pass)?;
                    blocks[1].layer_by_layer(&hidden, pass)
                },
            );
        }
    }

    #[test]
    fn a_second_backward_pass_gives_the_same() {
        let (config, scope) = (GptPreset::Nano.config(), scope());
        let blocks = [0, 1].map(|index| Block::new(&config, &scope.child(index)).unwrap());
        let input = Var::from_tensor(&values(&[1, 5, 32])).unwrap();
        let output = forward(&blocks, &input, Pass::Eval).unwrap();
        let gradient = || -> Vec<f64> {
            let gradients = output.backward().unwrap();
            let gradient = gradients.get(&blocks[0].parameters[2]).unwrap();
            gradient.flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(gradient(), gradient());
    }
}
