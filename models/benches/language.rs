//! Milliseconds per layer and per training step of the language models and dense classifiers.
//!
//! Run with `cargo bench -p models --bench language --profile dev [-- FILTER]`; `benches/torch_compare.py` times
//! the same rows in PyTorch.

mod timing;

use candle_core::{DType, Device, Var};
use models::language::{GptConfig, GptPreset};
use models::layer::{
    Activation, CausalAttention, Dropout, EmbeddingConfig, LayerNormConfig, LinearConfig,
    WeightLayout,
};
use models::loss::cross_entropy;
use models::{Pass, Scope, dense};
use timing::{Rows, integers, values};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The row of OpenAI's smallest GPT-2.
const GPT_2: &str = "gpt-2 small, context 256, b1";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scope = || Scope::new(0, DType::F32, &Device::Cpu);
    let rows = Rows::start();

    for (inputs, outputs) in [(128, 384), (128, 512), (512, 128)] {
        let config = LinearConfig {
            layout: WeightLayout::InputOutput,
            ..LinearConfig::new(inputs, outputs)
        };
        let linear = config.build(&scope())?;
        let input = Var::from_tensor(&values(&[1024, inputs])?)?;
        let name = format!("linear 1024x{inputs}->{outputs}");
        rows.layer(&name, || linear.forward(&input))?;
        let name = format!("gelu-linear 1024x{inputs}->{outputs}");
        rows.layer(&name, || linear.forward_activated(Activation::Gelu, &input))?;
    }
    let input = Var::from_tensor(&values(&[1024, 512])?)?;
    rows.layer("gelu 1024x512", || Activation::Gelu.forward(&input))?;
    let input = Var::from_tensor(&values(&[1024, 128])?)?;
    let norm = LayerNormConfig::new(128).build(&scope())?;
    rows.layer("layer-norm 1024x128", || norm.forward(&input))?;
    for (batch, time, width, heads) in [(16, 64, 128, 4), (1, 1024, 768, 12)] {
        let input = Var::from_tensor(&values(&[batch, time, 3 * width])?)?;
        let dropout = Dropout::new(0.0, &scope())?;
        let attention = CausalAttention { heads, dropout };
        let name = format!("attention {batch}x{time}x{width} h{heads}");
        rows.layer(&name, || attention.forward(&input, Pass::Eval))?;
    }
    let embedding = EmbeddingConfig::new(4096, 128).build(&scope())?;
    let ids = integers(&[1024], 4096)?;
    rows.layer("embedding 1024 of 4096x128", || embedding.forward(&ids))?;
    for classes in [256, 4096] {
        let logits = Var::from_tensor(&values(&[1024, classes])?)?;
        let targets = integers(&[1024], classes as u32)?;
        let name = format!("cross-entropy 1024x{classes}");
        rows.layer(&name, || cross_entropy(&logits, &targets))?;
    }

    for vocabulary in [256, 4096] {
        let config = GptConfig {
            vocabulary,
            ..GptPreset::Mini.config()
        };
        let model = config.build(&scope())?;
        let tokens = integers(&[16, 64], vocabulary as u32)?;
        let targets = integers(&[16, 64], vocabulary as u32 - 1)?;
        let name = format!("gpt mini v{vocabulary} b16");
        rows.step(&name, &model, &tokens, &targets)?;
    }
    for gradient_checkpointing in [false, true] {
        let config = GptConfig {
            layers: 12,
            context: 256,
            gradient_checkpointing,
            ..GptPreset::Mini.config()
        };
        let model = config.build(&scope())?;
        let tokens = integers(&[16, 256], 256)?;
        let targets = integers(&[16, 256], 255)?;
        let kind = if gradient_checkpointing {
            "checkpointed"
        } else {
            "kept"
        };
        rows.step(
            &format!("gpt 12 layers, context 256, {kind}"),
            &model,
            &tokens,
            &targets,
        )?;
    }
    // 124 million parameters take seconds to draw.
    if !rows.skips(GPT_2) {
        let model = GptPreset::Small.config().build(&scope())?;
        let tokens = integers(&[1, 256], 50_257)?;
        rows.step(GPT_2, &model, &tokens, &integers(&[1, 256], 50_000)?)?;
    }
    let mlp = dense::MlpConfig::default().build(&scope())?;
    let (images, labels) = (values(&[512, 784])?, integers(&[512], 10)?);
    rows.step("mlp 784-64-32-10 b512", &mlp, &images, &labels)?;
    let linear = dense::LinearClassifierConfig::default().build(&scope())?;
    rows.step("linear 784-10 b512", &linear, &images, &labels)?;
    Ok(())
}
