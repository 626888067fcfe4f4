//! Step by step, the `as-shipped` arm's optimizers make the losses that PyTorch's make, from the same
//! weights on the same batches (`golden/steps.py`).

use std::io::Cursor;

use bench_experiment::spec::Suite;
use candle_core::{DType, Device, Tensor};
use models::loss::cross_entropy;
use models::{ModelSpec, Pass};
use optim::{Loss, Meter, Optimizer, Oracle, Parameters, Phase};
use polars::prelude::{ParquetReader, SerReader};
use serde::Deserialize;

const BATCH: usize = 128;
const SAMPLES: usize = 1792;

#[derive(Deserialize)]
struct Golden {
    curves: Vec<Curve>,
}

#[derive(Deserialize)]
struct Curve {
    model: String,
    optimizer: String,
    dtype: String,
    /// Steps in which PyTorch agrees with itself when it starts one rounding away.
    comparable: usize,
    losses: Vec<f64>,
}

/// The embedded digits in the order of their file, their pixels repeated to images of `side` × `side`.
fn samples(side: usize) -> (Tensor, Tensor) {
    let file = Cursor::new(include_bytes!("../data/assets/digits.parquet"));
    let frame = ParquetReader::new(file).finish().unwrap();
    let images = frame.column("image").unwrap().binary().unwrap();
    let labels = frame.column("label").unwrap().u32().unwrap();
    let pixels: Vec<f64> = images
        .iter()
        .take(SAMPLES)
        .flat_map(|image| image.unwrap().iter().map(|pixel| f64::from(*pixel) / 16.0))
        .collect();
    let labels: Vec<u32> = labels.iter().map(Option::unwrap).take(SAMPLES).collect();
    let pixels = Tensor::from_vec(pixels, (SAMPLES, 1, 8, 8), &Device::Cpu).unwrap();
    let pixels = pixels.upsample_nearest2d(side, side).unwrap();
    (pixels, Tensor::new(labels, &Device::Cpu).unwrap())
}

fn spec(model: &str) -> (ModelSpec, usize) {
    let (text, side) = match model {
        "linear" => (r#"{ "kind": "linear", "inputs": 64, "classes": 10 }"#, 8),
        "mlp" => (
            r#"{ "kind": "mlp", "inputs": 64, "hidden": [64, 32], "classes": 10 }"#,
            8,
        ),
        _ => (r#"{ "kind": "lenet", "size": 16 }"#, 16),
    };
    (serde_json::from_str(text).unwrap(), side)
}

/// The losses that the arm's optimizer logs, S6 included: after the step for L-BFGS, before it for others.
fn train(curve: &Curve) -> Vec<f64> {
    let suite = Suite::find("as-shipped").unwrap().experiment().unwrap();
    let config = suite
        .optimizers
        .iter()
        .find(|entry| entry.label == curve.optimizer)
        .unwrap();
    let dtype = if curve.dtype == "f64" {
        DType::F64
    } else {
        DType::F32
    };
    let (spec, side) = spec(&curve.model);
    let model = spec.build(0, dtype, &Device::Cpu).unwrap();
    first_weights(model.as_ref(), dtype);
    let parameters = Parameters::new(model.tensors().parameters.clone()).unwrap();
    let mut optimizer = config.config.build(&parameters).unwrap();
    let (images, labels) = samples(side);
    let images = images.to_dtype(dtype).unwrap();
    let steps_per_epoch = (SAMPLES / BATCH) as u64;
    let mut meter = Meter::new();
    (0..curve.losses.len() as u64)
        .map(|step| {
            if step % steps_per_epoch == 0 {
                optimizer.start_epoch(step / steps_per_epoch);
            }
            let first = step as usize * BATCH;
            let indices: Vec<u32> = (0..BATCH)
                .map(|i| (1009 * (first + i) % SAMPLES) as u32)
                .collect();
            let indices = Tensor::new(indices, &Device::Cpu).unwrap();
            let inputs = images.index_select(&indices, 0).unwrap();
            let targets = labels.index_select(&indices, 0).unwrap();
            let mut objective = Loss::new(&parameters, || {
                cross_entropy(&model.forward(&inputs, Pass::Train { seed: 0 })?, &targets)
            });
            let made = optimizer
                .step(&mut Oracle::new(&mut objective, &mut meter))
                .unwrap();
            match made.phase {
                Phase::SecondOrder => made.final_loss.unwrap(),
                Phase::FirstOrder => made.loss,
            }
        })
        .collect()
}

/// As `first_weights` in `golden/steps.py`.
fn first_weights(model: &dyn models::Model, dtype: DType) {
    let tensors = model.tensors();
    // PyTorch's order: layer by layer, weights before biases.
    let mut layers: Vec<&str> = tensors
        .parameters
        .iter()
        .filter_map(|(name, _)| name.strip_suffix(".weight"))
        .collect();
    layers.sort_by_key(|name| (!name.starts_with("conv"), name.to_string()));
    let mut index = 0;
    for layer in layers {
        let find = |part: &str| {
            let name = format!("{layer}.{part}");
            tensors
                .parameters
                .iter()
                .find(|(other, _)| *other == name)
                .unwrap()
                .1
                .clone()
        };
        let weight = find("weight");
        let fan_in = weight.elem_count() / weight.dims()[0];
        for var in [weight, find("bias")] {
            index += 1;
            let values: Vec<f64> = (0..var.elem_count())
                .map(|i| (12.9898 * i as f64 + 78.233 * f64::from(index)).sin())
                .map(|value| value / (fan_in as f64).sqrt())
                .collect();
            let values = Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap();
            var.set(&values.to_dtype(dtype).unwrap()).unwrap();
        }
    }
}

#[test]
fn the_as_shipped_arm_follows_pytorch_step_by_step() {
    let golden: Golden = serde_json::from_str(include_str!("golden/steps.json")).unwrap();
    assert_eq!(golden.curves.len(), 18);
    let mut failures = Vec::new();
    for curve in &golden.curves {
        assert!(curve.comparable >= 15, "{}", curve.optimizer);
        let ours = train(curve);
        let worst = ours
            .iter()
            .zip(&curve.losses)
            .take(curve.comparable)
            .map(|(ours, theirs)| ((ours - theirs) / theirs).abs())
            .fold(0.0, f64::max);
        let bound = if curve.dtype == "f64" { 1e-6 } else { 1e-3 };
        println!(
            "{} {} {}: {worst:.1e}",
            curve.model, curve.optimizer, curve.dtype
        );
        if !(worst <= bound) {
            failures.push(format!(
                "{} {} {}: {worst:e}",
                curve.model, curve.optimizer, curve.dtype
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
