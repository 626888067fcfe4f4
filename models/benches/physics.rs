//! Milliseconds per evaluation (loss and gradient) of physics-informed networks with 10,000 points, beside
//! the same multiply-adds at the rate of Candle's matrix products: the shortest by the clock, and the mean
//! processor time of all threads. With `RAYON_NUM_THREADS=1` the latter can be compared on a busy machine.
//!
//! Run with `cargo bench -p models --bench physics --profile dev [-- FILTER]` and compare with
//! `benches/torch_physics.py`, which times the same rows in PyTorch. The memory is by how much the process
//! grows; it is to be read from a run whose filter leaves one row.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use models::Scope;
use models::physics::{Convection, Equation, PinnConfig, Wave};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    println!(
        "{:<26} {:>10} {:>14} {:>10}",
        "row", "ms", "products, ms", "MiB"
    );
    for width in [50, 200] {
        for dtype in [DType::F32, DType::F64] {
            let convection = (
                "convection",
                Arc::new(Convection { speed: 40.0 }) as Arc<dyn Equation>,
            );
            for (name, equation) in [convection, ("wave", Arc::new(Wave { speed: 2.0 }))] {
                let name = format!("{name} {width} {}", dtype.as_str());
                if filter
                    .as_deref()
                    .is_some_and(|filter| !name.contains(filter))
                {
                    continue;
                }
                let orders = equation.orders();
                let mut config = PinnConfig::default();
                config.network.width = width;
                let before = resident("VmRSS");
                let scope = Scope::new(0, dtype, &Device::Cpu);
                let pinn = config.build(equation, &scope, &mut ChaCha8Rng::seed_from_u64(0))?;
                let [time, cpu] = times(|| pinn.loss_and_gradient().map(drop))?;
                let memory = resident("VmHWM") - before;
                // Forward, and backward by inputs and weights, in the two layers between hidden units.
                let rows = config.points.residual * (1 + orders.x + orders.t);
                let size = 768;
                let square = Tensor::ones((size, size), dtype, &Device::Cpu)?;
                let share = (2 * 3 * rows * width * width) as f64 / (size as f64).powi(3);
                let products = times(|| square.matmul(&square).map(drop))?;
                let [product, product_cpu] = products.map(|time| share * time);
                println!(
                    "{name:<20} {time:>7.2} {cpu:>7.2} {product:>7.2} {product_cpu:>7.2} {memory:>8.1}"
                );
            }
        }
    }
    Ok(())
}

/// Milliseconds of a run: the shortest by the clock, and the mean processor time.
fn times<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<[f64; 2], E> {
    let (mut shortest, cpu) = (f64::INFINITY, processor_time());
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        shortest = start.elapsed().as_secs_f64().min(shortest);
    }
    Ok([shortest * 1e3, (processor_time() - cpu) / RUNS as f64])
}

/// How long all threads of this process have run so far, in milliseconds, as Linux reports it.
fn processor_time() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let times = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e6
}

/// A size of this process in MiB, as Linux reports it: resident now (`VmRSS`) or at most (`VmHWM`).
fn resident(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes / 1024.0)
}
