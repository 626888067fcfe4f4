//! Whole dense and language models against finite differences and published figures.

use crate::common::{assert_gradients, uniform, weighted_sum};
use candle_core::{DType, Device, Tensor};
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
            gradient_checkpointing: false,
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

fn gpt_spec(spec: &str) -> Result<GptConfig, String> {
    match serde_json::from_str(spec) {
        Ok(ModelSpec::Gpt(config)) => Ok(config),
        Ok(other) => panic!("not a GPT: {other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn gpt_presets_can_be_overridden() {
    for (name, preset) in [
        ("nano", GptPreset::Nano),
        ("mini", GptPreset::Mini),
        ("small", GptPreset::Small),
    ] {
        let spec = format!(r#"{{"kind": "gpt", "preset": "{name}"}}"#);
        assert_eq!(gpt_spec(&spec).unwrap(), preset.config());
        let spec = format!(r#"{{"kind": "gpt", "context": 8, "preset": "{name}", "heads": 1}}"#);
        let expected = GptConfig {
            context: 8,
            heads: 1,
            ..preset.config()
        };
        assert_eq!(gpt_spec(&spec).unwrap(), expected);
        let written = serde_json::to_string(&ModelSpec::Gpt(expected.clone())).unwrap();
        assert_eq!(gpt_spec(&written).unwrap(), expected);
    }
    assert_eq!(
        gpt_spec(r#"{"kind": "gpt"}"#).unwrap(),
        GptConfig::default()
    );
}

#[test]
fn gpt_settings_that_do_not_exist_or_fit_are_refused() {
    let message = gpt_spec(r#"{"kind": "gpt", "preset": "tiny"}"#).unwrap_err();
    assert!(
        message.contains("`tiny`") && message.contains("`nano`"),
        "{message}"
    );
    let message = gpt_spec(r#"{"kind": "gpt", "preset": "nano", "layer": 2}"#).unwrap_err();
    assert!(
        message.contains("`layer`") && message.contains("`layers`"),
        "{message}"
    );
    for spec in [
        r#"{"kind": "gpt", "preset": "nano", "heads": 3}"#,
        r#"{"kind": "gpt", "preset": "nano", "vocabulary": 0}"#,
        r#"{"kind": "gpt", "preset": "nano", "dropout": 1.0}"#,
        r#"{"kind": "gpt", "preset": "nano", "init_std": -1.0}"#,
    ] {
        let config = gpt_spec(spec).unwrap();
        let scope = Scope::new(0, DType::F32, &Device::Cpu);
        assert!(config.build(&scope).is_err(), "{spec}");
    }
}

#[test]
fn gradient_checkpointing_changes_no_bit() {
    for dropout in [0.0, 0.2] {
        let bits = |gradient_checkpointing| {
            let config = GptConfig {
                dropout,
                gradient_checkpointing,
                ..GptPreset::Nano.config()
            };
            let model = config
                .build(&Scope::new(1, DType::F32, &Device::Cpu))
                .unwrap();
            let tokens = crate::common::golden::integers(7, 256, &[3, 32]);
            let logits = model.forward(&tokens, Pass::Train { seed: 4 }).unwrap();
            let gradients =
                cross_entropy(&logits, &crate::common::golden::integers(5, 256, &[3, 32]))
                    .unwrap()
                    .backward()
                    .unwrap();
            let bits = |tensor: &Tensor| -> Vec<u32> {
                let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
                values.into_iter().map(f32::to_bits).collect()
            };
            let parameters = model.tensors().parameters.iter();
            let mut all = vec![bits(&logits)];
            all.extend(parameters.map(|(_, var)| bits(gradients.get(var).unwrap())));
            all
        };
        assert!(bits(true) == bits(false), "dropout {dropout}");
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
