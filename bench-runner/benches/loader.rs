//! Images per second of the loader, alone and beside the training step that it feeds:
//! `cargo bench -p bench-runner --bench loader -- CATALOGUE NAME [BATCH [crops]]`. With `crops` only streams are measured, as for
//! photographs: read alone, of the centre, and of random crops.
//!
//! `scripts/loader_baseline.py` measures PyTorch's DataLoader on the same files.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bench_data::{Augmentation, BatchOrder, ImageSet, Library, Silent, StreamOptions};
use candle_core::{DType, Device, Tensor};
use candle_datasets::Batcher;
use models::loss::cross_entropy;
use models::{Model, ModelSpec, Pass};
use optim::{Loss, Objective, Parameters};

// As the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Epochs that are measured, after one to warm up.
const EPOCHS: u64 = 5;
/// Batches that the training step sees in an "epoch" of its own.
const TRAINING_BATCHES: usize = 40;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let (catalogue, name, batch, crops) = match &arguments[..] {
        [catalogue, name] => (catalogue, name, 128, false),
        [catalogue, name, batch] => (catalogue, name, batch.parse()?, false),
        [catalogue, name, batch, mode] if mode == "crops" => {
            (catalogue, name, batch.parse()?, true)
        }
        _ => {
            eprintln!("usage: loader CATALOGUE NAME [BATCH [crops]]");
            return Ok(());
        }
    };
    let library = Library::from_env(Some(Path::new(catalogue)), Arc::new(Silent))?;
    library.fetch(name)?;
    if crops {
        return measure_crops(&library, name, batch);
    }
    let start = Instant::now();
    let train = library.images(name)?.train;
    println!(
        "{name}: {} images decoded in {:.2} s",
        train.len(),
        start.elapsed().as_secs_f64()
    );
    let order = BatchOrder::new(0, train.len(), batch, true)?.epoch(0);
    let loaded = |index| train.batch(&order.batch(index), &Device::Cpu, DType::F32);
    let streamed = || library.stream(name, "train", StreamOptions::new(0, 0, batch), &Device::Cpu);

    measure("in memory", || count((0..order.len()).map(loaded)))?;
    measure("in memory, candle-datasets' Batcher", || {
        let samples = (0..order.len()).flat_map(|index| order.batch(index));
        let samples = samples.map(|index| sample(&train, index));
        count(Batcher::new_r2(samples).batch_size(batch))
    })?;
    measure("streamed", || count(streamed()?))?;

    let network = Network::new(&train)?;
    let first = loaded(0)?;
    let batches = order.len().min(TRAINING_BATCHES);
    let step = measure("training step alone, ResNet-8", || {
        for _ in 0..batches {
            network.step(&first)?;
        }
        Ok(batches * batch)
    })?;
    let fed = |what: &str, rate: f64| {
        println!(
            "{what}: {:.1} % of the step's own speed",
            100.0 * rate / step
        );
    };
    let rate = measure("training step fed from memory", || {
        for index in 0..batches {
            network.step(&loaded(index)?)?;
        }
        Ok(batches * batch)
    })?;
    fed("fed from memory", rate);
    let rate = measure("training step fed by the stream", || {
        for item in streamed()?.take(batches) {
            network.step(&item?)?;
        }
        Ok(batches * batch)
    })?;
    fed("fed by the stream", rate);
    Ok(())
}

/// Streams of images that differ in size, and what each stage of them takes.
fn measure_crops(library: &Library, name: &str, batch: usize) -> Result<()> {
    let images_of = |options| count(library.stream(name, "train", options, &Device::Cpu)?);
    let whole = StreamOptions::new(0, 0, batch);
    let images = images_of(whole.clone())?;
    let read = measure("read and shuffled, not decoded", || {
        images_of(StreamOptions {
            skip: usize::MAX,
            ..whole.clone()
        })?;
        Ok(images)
    })?;
    let centre = measure("the centre", || images_of(whole.clone()))?;
    let random = measure("random crops", || {
        images_of(StreamOptions {
            augmentation: Augmentation {
                random_resized_crop: true,
                ..Augmentation::default()
            },
            ..whole.clone()
        })
    })?;
    for (what, rate) in [
        ("reading", read),
        ("centre", centre),
        ("random crops", random),
    ] {
        println!("{what}: {:.3} ms an image", 1e3 / rate);
    }
    Ok(())
}

/// The images of all batches.
fn count<E>(
    batches: impl Iterator<Item = std::result::Result<(Tensor, Tensor), E>>,
) -> Result<usize>
where
    E: std::error::Error + 'static,
{
    let mut images = 0;
    for batch in batches {
        images += batch?.0.dim(0)?;
    }
    Ok(images)
}

/// One image and its label as `Batcher` takes them.
fn sample(set: &ImageSet, index: u32) -> candle_core::Result<(Tensor, Tensor)> {
    let (image, label) = set
        .batch(&[index], &Device::Cpu, DType::F32)
        .map_err(candle_core::Error::wrap)?;
    Ok((image.squeeze(0)?, label.squeeze(0)?))
}

/// A network that trains on batches.
struct Network {
    model: Box<dyn Model>,
    parameters: Parameters,
}

impl Network {
    fn new(set: &ImageSet) -> Result<Self> {
        let (channels, ..) = set.shape();
        let spec: ModelSpec = toml::from_str(&format!(
            "kind = \"resnet\"\nvariant = \"cifar\"\ndepth = 8\nin_channels = {channels}\nclasses = {}",
            set.classes().len()
        ))?;
        let model = spec.build(0, DType::F32, &Device::Cpu)?;
        let parameters = Parameters::new(model.tensors().parameters.clone())?;
        Ok(Self { model, parameters })
    }

    /// Loss and gradient on one batch, which is what an optimizer asks for in a step.
    fn step(&self, (images, labels): &(Tensor, Tensor)) -> Result<()> {
        let pass = Pass::Train { seed: 0 };
        let mut objective = Loss::new(&self.parameters, || {
            cross_entropy(&self.model.forward(images, pass)?, labels)
        });
        let (loss, _) = objective.loss_and_gradient()?;
        if !loss.is_finite() {
            return Err(format!("the loss is {loss}").into());
        }
        Ok(())
    }
}

/// The median over epochs, which is also the result, and the range.
fn measure(what: &str, mut epoch: impl FnMut() -> Result<usize>) -> Result<f64> {
    let mut rates = Vec::new();
    for number in 0..=EPOCHS {
        let start = Instant::now();
        let images = epoch()?;
        if number > 0 {
            rates.push(images as f64 / start.elapsed().as_secs_f64());
        }
    }
    rates.sort_by(f64::total_cmp);
    let (least, median, most) = (rates[0], rates[rates.len() / 2], rates[rates.len() - 1]);
    println!("{what}: {median:.0} images/s ({least:.0} to {most:.0})");
    Ok(median)
}
