//! The first values of every kind of parameter: mean and variance as published.

use candle_core::{DType, Device, Tensor};
use models::{Init, ModelSpec, Scope};

/// What a parameter starts from.
#[derive(Debug, Clone, Copy)]
enum Start {
    Constant(f64),
    Normal { variance: f64 },
    Uniform { variance: f64 },
}

use Start::{Constant, Normal, Uniform};

/// Asserts that the values are of this origin: mean and variance to five standard errors.
fn assert_starts(name: &str, tensor: &Tensor, start: Start) {
    let values: Vec<f64> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square = values.iter().map(|v| v * v).sum::<f64>() / count;
    // A sample variance spreads by the fourth moment, 3 or 9/5 squared variances.
    let (variance, spread) = match start {
        Constant(value) => {
            assert!(
                values.iter().all(|v| *v == value),
                "{name}: not all {value}"
            );
            return;
        }
        Normal { variance } => (variance, 2.0),
        Uniform { variance } => {
            let bound = (3.0 * variance).sqrt();
            let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            assert!(largest <= bound, "{name}: {largest} is beyond {bound}");
            (variance, 0.8)
        }
    };
    let error = mean.abs() / (variance / count).sqrt();
    assert!(
        error < 5.0,
        "{name}: mean {mean}, {error} standard errors from 0"
    );
    let error = (square / variance - 1.0).abs() / (spread / count).sqrt();
    assert!(
        error < 5.0,
        "{name}: variance {square}, {error} standard errors from {variance}"
    );
}

fn assert_model_starts(spec: &str, start: impl Fn(&str, &[usize]) -> Start) {
    let spec: ModelSpec = serde_json::from_str(spec).unwrap();
    let model = spec.build(1, DType::F64, &Device::Cpu).unwrap();
    for (name, var) in &model.tensors().parameters {
        assert_starts(name, var, start(name, var.dims()));
    }
}

/// PyTorch's rule for linear layers and convolutions: uniform with bound 1 / sqrt(fan-in).
fn pytorch(fan_in: usize) -> Start {
    Uniform {
        variance: 1.0 / (3.0 * fan_in as f64),
    }
}

#[test]
fn dense_models_start_as_in_pytorch() {
    for spec in [
        r#"{"kind": "linear"}"#,
        r#"{"kind": "logistic"}"#,
        r#"{"kind": "mlp"}"#,
    ] {
        assert_model_starts(spec, |name, _| match name {
            "fc2.weight" | "fc2.bias" => pytorch(64),
            "fc3.weight" | "fc3.bias" => pytorch(32),
            _ => pytorch(784),
        });
    }
}

#[test]
fn lenet_starts_as_in_pytorch() {
    assert_model_starts(r#"{"kind": "lenet"}"#, |name, _| {
        pytorch(match name.split('.').next().unwrap() {
            "conv1" => 25,
            "conv2" => 150,
            "fc1" => 16,
            "fc2" => 120,
            _ => 84,
        })
    });
}

/// Glorot and Bengio 2010: a variance of 2 over the sum of fan-in and fan-out.
#[test]
fn xavier_keeps_the_variance_between_both_fans() {
    let scope = Scope::new(3, DType::F64, &Device::Cpu);
    for (fan_in, fan_out) in [(300, 100), (100, 300), (1, 5000)] {
        let name = format!("{fan_in} to {fan_out}");
        let init = Init::xavier_uniform(fan_in, fan_out);
        let weight = scope.parameter(&name, (fan_out, fan_in), init).unwrap();
        let variance = 2.0 / (fan_in + fan_out) as f64;
        assert_starts(&name, &weight, Uniform { variance });
    }
}

/// He et al. 2015: a variance of 2 over the fan-out, which the convolutions of residual and dense
/// networks start from.
#[test]
fn convolutions_of_deep_networks_start_kaiming_normal() {
    for (spec, features) in [
        (r#"{"kind": "resnet", "depth": 20}"#, 64),
        (r#"{"kind": "resnet", "variant": "fuse"}"#, 256),
        (r#"{"kind": "densenet", "depth": 10}"#, 128),
    ] {
        assert_model_starts(spec, |name, dims| match (name, dims) {
            ("fc.bias", _) if spec.contains("densenet") => Constant(0.0),
            ("fc.weight" | "fc.bias", _) => pytorch(features),
            (_, [outputs, _, kernel, _]) => Normal {
                variance: 2.0 / (outputs * kernel * kernel) as f64,
            },
            (name, _) if name.ends_with("bias") => Constant(0.0),
            _ => Constant(1.0),
        });
    }
}

/// Radford et al. 2019: a deviation of 0.02, and of 0.02 / sqrt(2 layers) for projections into the
/// residual stream.
#[test]
fn gpt_starts_as_gpt2_did() {
    assert_model_starts(r#"{"kind": "gpt", "preset": "mini"}"#, |name, _| {
        if name.ends_with("bias") {
            Constant(0.0)
        } else if name.contains("ln_") {
            Constant(1.0)
        } else if name.ends_with("c_proj.weight") {
            Normal {
                variance: 0.02 * 0.02 / 8.0,
            }
        } else {
            Normal {
                variance: 0.02 * 0.02,
            }
        }
    });
}
