//! Seconds per training step of the image classifiers, and per layer forward and backward.
//!
//! Run with `cargo bench -p models --bench vision --profile dev [-- FILTER]` and compare with
//! `benches/torch_compare.py`, which times the same rows in PyTorch.

use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use models::layer::{Conv2dConfig, ConvNorm};
use models::loss::cross_entropy;
use models::vision::ResNetConfig;
use models::{Model, Pass, Scope};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRAIN: Pass = Pass::Train { seed: 0 };

/// Runs before the first that counts, and those that count.
const WARM_UP: usize = 2;
const RUNS: usize = 7;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let wanted = |name: &str| {
        filter
            .as_ref()
            .is_none_or(|filter| name.contains(filter.as_str()))
    };
    let scope = || Scope::new(0, DType::F32, &Device::Cpu);
    println!(
        "{:<32} {:>10} {:>10}  milliseconds",
        "row", "forward", "backward"
    );

    for (inputs, outputs, size, stride) in [
        (3, 16, 32, 1),
        (16, 16, 32, 1),
        (16, 32, 32, 2),
        (32, 32, 16, 1),
        (32, 64, 16, 2),
        (64, 64, 8, 1),
    ] {
        for fused in [false, true] {
            let kind = if fused { "conv-norm-relu" } else { "conv" };
            let name = format!("{kind} {inputs}->{outputs} {size}x{size} /{stride}");
            if !wanted(&name) {
                continue;
            }
            let config = Conv2dConfig {
                stride,
                padding: 1,
                bias: false,
                ..Conv2dConfig::new(inputs, outputs, 3)
            };
            let input = Var::from_tensor(&images(128, inputs, size)?)?;
            let (forward, backward) = if fused {
                let layer = ConvNorm::build(config, &scope().child("c"), &scope().child("n"))?;
                layer_times(|| layer.forward_relu(&input, TRAIN))?
            } else {
                let layer = config.build(&scope())?;
                layer_times(|| layer.forward(&input))?
            };
            println!("{name:<32} {forward:>10.2} {backward:>10.2}");
        }
    }

    let resnet = |depth| -> models::Result<Box<dyn Model>> {
        Ok(Box::new(ResNetConfig::cifar(depth).build(&scope())?))
    };
    let steps: [(&str, usize, usize, usize, Box<dyn Model>); 1] =
        [("resnet-20 3x32x32 b128", 128, 3, 32, resnet(20)?)];
    for (name, batch, channels, size, model) in steps {
        if wanted(name) {
            let (step, forward, backward) = step_times(&*model, batch, channels, size)?;
            println!("{name:<32} {forward:>10.1} {backward:>10.1}  step {step:.1}");
        }
    }
    Ok(())
}

/// The times of a layer's forward pass, and of its backward pass from a gradient of ones, in milliseconds.
fn layer_times(layer: impl Fn() -> Result<Tensor>) -> Result<(f64, f64)> {
    let mut forward = Vec::new();
    let mut backward = Vec::new();
    for _ in 0..WARM_UP + RUNS {
        let start = Instant::now();
        let output = layer()?;
        forward.push(milliseconds(start));
        let start = Instant::now();
        let gradients = output.backward()?;
        backward.push(milliseconds(start));
        drop(gradients);
    }
    Ok((median(forward), median(backward)))
}

/// The times of a whole step, its forward and its backward pass in milliseconds.
fn step_times(
    model: &dyn Model,
    batch: usize,
    channels: usize,
    size: usize,
) -> Result<(f64, f64, f64)> {
    let input = images(batch, channels, size)?;
    let labels: Vec<u32> = (0..batch as u32).map(|i| i % 10).collect();
    let labels = Tensor::new(labels, &Device::Cpu)?;
    let mut adam = Adam::new(model);
    let (mut step, mut forward, mut backward) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..WARM_UP + RUNS {
        let start = Instant::now();
        let loss = cross_entropy(&model.forward(&input, TRAIN)?, &labels)?;
        forward.push(milliseconds(start));
        let back = Instant::now();
        let gradients = loss.backward()?;
        backward.push(milliseconds(back));
        adam.step(&gradients)?;
        step.push(milliseconds(start));
    }
    Ok((median(step), median(forward), median(backward)))
}

/// A plain Adam on the host, so that a step costs what a step costs.
struct Adam {
    steps: i32,
    vars: Vec<Var>,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Adam {
    fn new(model: &dyn Model) -> Self {
        let vars: Vec<Var> = model
            .tensors()
            .parameters
            .iter()
            .map(|(_, var)| var.clone())
            .collect();
        let zeros = |var: &Var| vec![0f32; var.elem_count()];
        let moments = vars.iter().map(|var| (zeros(var), zeros(var))).collect();
        Self {
            steps: 0,
            vars,
            moments,
        }
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.steps += 1;
        let rate = 1e-3 / (1.0 - 0.9f32.powi(self.steps));
        let correction = (1.0 - 0.999f32.powi(self.steps)).sqrt();
        for (var, (m, v)) in self.vars.iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(var) else {
                candle_core::bail!("a parameter has no gradient");
            };
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
            for (((x, g), m), v) in values.iter_mut().zip(&gradient).zip(m).zip(v) {
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                *x -= rate * *m / (v.sqrt() / correction + 1e-8);
            }
            var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

fn images(batch: usize, channels: usize, size: usize) -> Result<Tensor> {
    let count = batch * channels * size * size;
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::from_vec(values, (batch, channels, size, size), &Device::Cpu)
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The median of the runs after the warm-up.
fn median(mut runs: Vec<f64>) -> f64 {
    runs.drain(..WARM_UP);
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}
