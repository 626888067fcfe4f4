//! Comparison with values that PyTorch computed from the same weights and inputs, which both sides
//! fill by one formula; `golden/values.py` has its other half.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use models::loss::cross_entropy;
use models::{Model, Pass, Scope};
use serde::Deserialize;

/// Double precision and single precision, each with the tolerance relative to a tensor's largest
/// element.
pub const DOUBLE: (DType, f64) = (DType::F64, 1e-9);
pub const SINGLE: (DType, f64) = (DType::F32, 1e-5);

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Vec<usize>,
    evaluated: Summary,
    logits: Summary,
    loss: f64,
    gradients: BTreeMap<String, Summary>,
    buffers: BTreeMap<String, Summary>,
}

#[derive(Deserialize)]
pub struct Summary {
    shape: Vec<usize>,
    projection: f64,
    largest: f64,
    every: usize,
    elements: Vec<f64>,
}

impl Summary {
    /// Asserts that a tensor agrees up to `tolerance` times its largest element.
    pub fn assert_fits(&self, what: &str, tensor: &Tensor, tolerance: f64) {
        assert_eq!(tensor.dims(), self.shape, "{what}");
        let values: Vec<f64> = tensor
            .flatten_all()
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1()
            .unwrap();
        // Some gradients are zero but for rounding, such as those of weights before a
        // normalisation.
        let bound = tolerance * self.largest.max(1e-3);
        for (i, (value, expected)) in values
            .iter()
            .step_by(self.every)
            .zip(&self.elements)
            .enumerate()
        {
            assert!(
                (value - expected).abs() <= bound,
                "{what}[{}]: {value}, PyTorch has {expected}",
                i * self.every
            );
        }
        let weights = noise(0, values.len());
        let projection: f64 = values.iter().zip(weights).map(|(v, w)| v * w).sum();
        let spread = (values.len() as f64).sqrt();
        assert!(
            (projection - self.projection).abs() <= bound * spread,
            "{what}: projection {projection}, PyTorch has {}",
            self.projection
        );
    }
}

/// Pseudo-random numbers on [-1, 1).
pub fn noise(stream: usize, count: usize) -> Vec<f64> {
    let wave = |i: usize| (i as f64 * 12.9898 + stream as f64 * 78.233).sin() * 43758.5453;
    (0..count)
        .map(|i| 2.0 * (wave(i) - wave(i).floor()) - 1.0)
        .collect()
}

/// Multiples of `step`, modulo `below`.
pub fn integers(step: u32, below: u32, shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>() as u32;
    let values: Vec<u32> = (0..count).map(|i| i * step % below).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Sets parameters and buffers, the k-th in the order of the names from stream k.
pub fn fill(model: &dyn Model) {
    let tensors = model.tensors();
    let all: BTreeMap<&String, &Var> = tensors
        .parameters
        .iter()
        .chain(&tensors.buffers)
        .map(|(name, var)| (name, var))
        .collect();
    for (k, (name, var)) in all.into_iter().enumerate() {
        let mut values = noise(k + 1, var.elem_count());
        let affine: Box<dyn Fn(f64) -> f64> = if var.rank() > 1 {
            let fan_in = var.elem_count() / var.dims()[0];
            let scale = (3.0 / fan_in as f64).sqrt();
            Box::new(move |value| scale * value)
        } else if name.ends_with("running_var") || name.ends_with("weight") {
            Box::new(|value| 1.0 + 0.3 * value)
        } else {
            Box::new(|value| 0.2 * value)
        };
        values.iter_mut().for_each(|value| *value = affine(*value));
        let tensor = Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap();
        var.set(&tensor.to_dtype(var.dtype()).unwrap()).unwrap();
    }
}

/// Compares logits, loss, gradients and buffers of a model, with their names, with those of the
/// case `name` in a file of golden values. `data` makes inputs and targets from the input's shape.
pub fn assert_agrees(
    file: &str,
    name: &str,
    (dtype, tolerance): (DType, f64),
    build: impl Fn(&Scope) -> Box<dyn Model>,
    data: impl Fn(&[usize]) -> (Tensor, Tensor),
) {
    let golden: Golden = serde_json::from_str(file).unwrap();
    let case = golden.cases.iter().find(|case| case.name == name).unwrap();
    let model = build(&Scope::new(0, dtype, &Device::Cpu));
    fill(&*model);
    let (input, targets) = data(&case.input);
    let input = if input.dtype().is_int() {
        input
    } else {
        input.to_dtype(dtype).unwrap()
    };

    let evaluated = model.forward(&input, Pass::Eval).unwrap();
    case.evaluated
        .assert_fits("evaluated", &evaluated, tolerance);
    let logits = model.forward(&input, Pass::Train { seed: 0 }).unwrap();
    case.logits.assert_fits("logits", &logits, tolerance);
    // Another training pass would move running statistics again.
    let loss = if model.tensors().buffers.is_empty() {
        model.loss(&input, &targets, Pass::Train { seed: 0 })
    } else {
        cross_entropy(&logits, &targets)
    };
    let loss = loss.unwrap();
    let value = loss
        .to_dtype(DType::F64)
        .unwrap()
        .to_scalar::<f64>()
        .unwrap();
    assert!(
        (value - case.loss).abs() <= tolerance * case.loss,
        "loss: {value}, not {}",
        case.loss
    );

    let gradients = loss.backward().unwrap();
    let tensors = model.tensors();
    let names = |vars: &[(String, Var)]| -> Vec<String> {
        vars.iter().map(|(name, _)| name.clone()).collect()
    };
    let expected =
        |golden: &BTreeMap<String, Summary>| -> Vec<String> { golden.keys().cloned().collect() };
    assert_eq!(names(&tensors.parameters), expected(&case.gradients));
    assert_eq!(names(&tensors.buffers), expected(&case.buffers));
    for (name, var) in &tensors.parameters {
        let gradient = gradients.get(var).unwrap();
        case.gradients[name].assert_fits(name, gradient, tolerance);
    }
    for (name, var) in &tensors.buffers {
        case.buffers[name].assert_fits(name, var, tolerance);
    }
}

/// DropoutMask images and labels 0, 1, 2, 0 and so on, up to `classes`.
pub fn classification(classes: u32, shape: &[usize]) -> (Tensor, Tensor) {
    let images = noise(0, shape.iter().product());
    let images = Tensor::from_vec(images, shape, &Device::Cpu).unwrap();
    (images, integers(1, classes, &shape[..1]))
}
