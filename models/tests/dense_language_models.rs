//! Whole dense and language models against finite differences and published figures.
#![allow(clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{assert_gradients, uniform, weighted_sum};
use models::language::{GptConfig, GptPreset};
use models::loss::cross_entropy;
use models::{Model, ModelSpec, Pass, Scope};

fn build(spec: &str) -> Box<dyn Model> {
    let spec: ModelSpec = serde_json::from_str(spec).unwrap();
    spec.build(3, DType::F64, &Device::Cpu).unwrap()
}

fn assert_model_gradients(model: &dyn Model, input: &Tensor) {
    let named = &model.tensors().parameters;
    assert!(!named.is_empty());
    assert_gradients(named.iter().map(|(name, var)| (name.as_str(), var)), || {
        weighted_sum(&model.forward(input, Pass::Train { seed: 5 })?)
    });
}

#[test]
fn dense_gradients() {
    let images = uniform(1, &[3, 1, 4, 5]);
    for spec in [
        r#"{"kind": "linear", "inputs": 20, "classes": 4}"#,
        r#"{"kind": "logistic", "inputs": 20, "classes": 4, "sigmoid": true}"#,
        r#"{"kind": "mlp", "inputs": 20, "hidden": [7, 5], "classes": 4}"#,
    ] {
        assert_model_gradients(build(spec).as_ref(), &images);
    }
}

#[test]
fn gpt_gradients() {
    for dropout in [0.0, 0.2] {
        let config = GptConfig {
            vocabulary: 11,
            context: 6,
            layers: 2,
            heads: 2,
            width: 8,
            dropout,
            // Large first weights, so that attention is far from uniform.
            init_std: 0.5,
        };
        let model = config
            .build(&Scope::new(1, DType::F64, &Device::Cpu))
            .unwrap();
        // Every token and position occurs, so every row of the tables has a gradient.
        let tokens: Vec<u32> = (0..12).map(|i| i % 11).collect();
        let tokens = Tensor::from_vec(tokens, (2, 6), &Device::Cpu).unwrap();
        assert_model_gradients(&model, &tokens);
    }
}

#[test]
fn parameter_counts_are_the_published_ones() {
    let mlp = build(r#"{"kind": "mlp", "inputs": 784, "hidden": [64, 32], "classes": 10}"#);
    assert_eq!(mlp.tensors().parameter_count(), 52_650);
    // GPT-2: 12 layers of 7,087,872, the token and position tables and the last layer-norm.
    let config = GptConfig {
        layers: 1,
        ..GptPreset::Small.config()
    };
    let one_layer = config
        .build(&Scope::new(0, DType::F32, &Device::Cpu))
        .unwrap();
    let count = one_layer.tensors().parameter_count();
    assert_eq!(count + 11 * 7_087_872, 124_439_808);
}

#[test]
fn a_sigmoid_before_cross_entropy_keeps_the_loss_above_its_floor() {
    // Logits that are right beyond all doubt: 1 for the class and 0 for the nine others.
    let logits = Tensor::new(
        &[[1e3f64, -1e3, -1e3, -1e3, -1e3, -1e3, -1e3, -1e3, -1e3, -1e3]],
        &Device::Cpu,
    );
    let probabilities = candle_nn::ops::sigmoid(&logits.unwrap()).unwrap();
    let target = Tensor::new(&[0u32], &Device::Cpu).unwrap();
    let loss = cross_entropy(&probabilities, &target).unwrap();
    let floor = (1.0 + 9.0 / std::f64::consts::E).ln();
    assert!((loss.to_scalar::<f64>().unwrap() - floor).abs() < 1e-12);
    assert!((floor - 1.4612).abs() < 5e-5);
}
