//! Images per second of the loader: `cargo bench -p bench-runner --bench loader -- CATALOGUE NAME [BATCH]`.
//!
//! `scripts/loader_baseline.py` measures PyTorch's DataLoader on the same files.

use std::path::Path;
use std::time::Instant;

use bench_runner::data::{BatchOrder, Library, Result, StreamOptions};
use candle_core::{DType, Device};

/// Epochs that are measured, after one to warm up.
const EPOCHS: u64 = 5;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let (catalogue, name, batch) = match &arguments[..] {
        [catalogue, name] => (catalogue, name, 128),
        [catalogue, name, batch] => (catalogue, name, batch.parse().unwrap_or(128)),
        _ => {
            eprintln!("usage: loader CATALOGUE NAME [BATCH]");
            return Ok(());
        }
    };
    let library = Library::from_env(Some(Path::new(catalogue)))?;
    let start = Instant::now();
    let train = library.images(name)?.train;
    println!(
        "{name}: {} images loaded in {:.2} s",
        train.len(),
        start.elapsed().as_secs_f64()
    );
    let order = BatchOrder::new(0, train.len(), batch, true)?;
    measure("in memory", || {
        let epoch = order.epoch(0);
        let mut images = 0;
        for index in 0..epoch.len() {
            let (tensor, _) = train.batch(&epoch.batch(index), &Device::Cpu, DType::F32)?;
            images += tensor.dim(0)?;
        }
        Ok(images)
    })?;
    measure("streamed", || {
        let mut images = 0;
        for item in library.stream(name, "train", StreamOptions::new(0, 0, batch), &Device::Cpu)? {
            images += item?.0.dim(0)?;
        }
        Ok(images)
    })
}

/// The median over epochs, and the range.
fn measure(what: &str, mut epoch: impl FnMut() -> Result<usize>) -> Result<()> {
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
    Ok(())
}
