//! Times on a device: memory bandwidth, an optimizer step against it, and training steps.
//!
//! `cargo bench -p bench-runner --profile dev --features cuda --bench device -- cuda:0`; the rows are those of
//! `scripts/torch_steps.py`, and `scripts/cuda-test.sh` sets them side by side. `-- cpu small` shows that the
//! benchmark itself works, where there is no GPU.

use std::time::Instant;

use bench_experiment::sweep::DeviceSpec;
use candle_core::{DType, Device, Tensor, Var};
use models::language::{GptConfig, GptPreset};
use models::vision::ResNetConfig;
use models::{Model, Pass, Scope};
use optim::{AdamConfig, Gradient, LbfgsConfig, Loss, Meter, Optimizer, Oracle, Parameters};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs before the first that counts, and those that count.
const WARM_UP: usize = 3;
const RUNS: usize = 10;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let name = arguments.first().map_or("cpu", String::as_str);
    let small = arguments.iter().any(|argument| argument == "small");
    let device = name.parse::<DeviceSpec>()?.open_one()?;
    let elements = if small { 1_000_000 } else { 100_000_000 };
    row("copy, GB/s", || copy(&device, elements));
    row("Adam step, GB/s", || adam(&device, elements));
    let (images, size) = if small { (2, 32) } else { (256, 224) };
    row("L-BFGS step, ms", || lbfgs(&device, elements / 10));
    for (kind, dtype) in [("f32", DType::F32), ("bf16", DType::BF16)] {
        let name = format!("ResNet-18 {kind}, ms");
        row(&name, || resnet(&device, dtype, images, size));
        let name = format!("GPT-small {kind}, ms");
        row(&name, || gpt(&device, dtype, small));
    }
    Ok(())
}

/// Prints a row; what does not work says why and does not end the others.
fn row(name: &str, measure: impl FnOnce() -> Result<f64>) {
    match measure() {
        Ok(value) => println!("{name}\t{value:.2}"),
        Err(error) => println!("{name}\tfailed: {error}"),
    }
}

/// The median time of a step in seconds, the device's queue included.
fn seconds(device: &Device, mut step: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..WARM_UP + RUNS {
        device.synchronize()?;
        let started = Instant::now();
        step()?;
        device.synchronize()?;
        times.push(started.elapsed().as_secs_f64());
    }
    let mut times = times.split_off(WARM_UP);
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// Bytes read and written per second by a copy.
fn copy(device: &Device, elements: usize) -> Result<f64> {
    let source = Tensor::ones(elements, DType::F32, device)?;
    let time = seconds(device, || {
        source.copy()?;
        Ok(())
    })?;
    Ok(8.0 * elements as f64 / time / 1e9)
}

/// Bytes that Adam must move (4 vectors read, 3 written) per second of its step.
fn adam(device: &Device, elements: usize) -> Result<f64> {
    let x = Var::ones(elements, DType::F32, device)?;
    let gradient = (x.as_detached_tensor() * 0.1)?;
    let parameters = Parameters::new([("x", x)])?;
    let gradient = Gradient::new(&parameters, vec![gradient])?;
    let mut adam = AdamConfig::default().build(&parameters)?;
    let time = seconds(device, || {
        adam.update(&gradient)?;
        Ok(())
    })?;
    Ok(28.0 * elements as f64 / time / 1e9)
}

/// Milliseconds of an L-BFGS step of one iteration, with up to ten pairs, on Σ x⁴, the evaluation included.
fn lbfgs(device: &Device, elements: usize) -> Result<f64> {
    let x = Var::ones(elements, DType::F32, device)?;
    let parameters = Parameters::new([("x", x.clone())])?;
    let config = LbfgsConfig {
        max_iter: 1,
        history_size: 10,
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..LbfgsConfig::torch()
    };
    let mut lbfgs = config.build(&parameters)?;
    let mut meter = Meter::new();
    let mut loss = Loss::new(&parameters, || x.sqr()?.sqr()?.sum_all());
    let time = seconds(device, || {
        lbfgs.step(&mut Oracle::new(&mut loss, &mut meter))?;
        Ok(())
    })?;
    Ok(1e3 * time)
}

fn resnet(device: &Device, dtype: DType, images: usize, size: usize) -> Result<f64> {
    let config = ResNetConfig::imagenet(18);
    let model = config.build(&Scope::new(0, dtype, device))?;
    let input = pattern(&[images, 3, size, size], device)?.to_dtype(dtype)?;
    let labels: Vec<u32> = (0..images as u32).map(|index| index % 1000).collect();
    training(
        device,
        &model,
        &input,
        &Tensor::from_vec(labels, images, device)?,
    )
}

fn gpt(device: &Device, dtype: DType, small: bool) -> Result<f64> {
    let (preset, batch) = if small {
        (GptPreset::Nano, 2)
    } else {
        (GptPreset::Small, 8)
    };
    let config = GptConfig {
        dropout: 0.0,
        ..preset.config()
    };
    let model = config.build(&Scope::new(0, dtype, device))?;
    let shape = (batch, config.context);
    let count = (batch * config.context) as u32;
    let token = |index: u32| index * 7919 % config.vocabulary as u32;
    let tokens = |shift: u32| (shift..count + shift).map(token).collect::<Vec<u32>>();
    let input = Tensor::from_vec(tokens(0), shape, device)?;
    training(
        device,
        &model,
        &input,
        &Tensor::from_vec(tokens(1), shape, device)?,
    )
}

/// Milliseconds of a training step with Adam, from loss to update.
fn training(device: &Device, model: &dyn Model, input: &Tensor, labels: &Tensor) -> Result<f64> {
    let parameters = Parameters::new(model.tensors().parameters.clone())?;
    let mut adam = AdamConfig::default().build(&parameters)?;
    let mut meter = Meter::new();
    let mut seed = 0;
    let time = seconds(device, || {
        seed += 1;
        let pass = Pass::Train { seed };
        let mut loss = Loss::new(&parameters, || model.loss(input, labels, pass));
        adam.step(&mut Oracle::new(&mut loss, &mut meter))?;
        Ok(())
    })?;
    Ok(1e3 * time)
}

/// Values of a fixed pattern in [-1, 1].
fn pattern(shape: &[usize], device: &Device) -> Result<Tensor> {
    let values =
        (0..shape.iter().product::<usize>()).map(|index| (index % 255) as f32 / 127.0 - 1.0);
    Ok(Tensor::from_vec(values.collect(), shape, device)?)
}
