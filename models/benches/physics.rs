//! Milliseconds per evaluation (loss and gradient) of physics-informed networks with 10,000 points, best
//! of all runs, beside the same multiply-adds at the rate of Candle's matrix products.
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

const RUNS: usize = 20;

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
                let time = best(|| pinn.loss_and_gradient().map(drop))?;
                let memory = resident("VmHWM") - before;
                // Forward, and backward by inputs and weights, in the two layers between hidden units.
                let rows = config.points.residual * (1 + orders.x + orders.t);
                let operations = (2 * 3 * 2 * rows * width * width) as f64;
                let size = 1536;
                let square = Tensor::ones((size, size), dtype, &Device::Cpu)?;
                let rate = 2.0 * (size as f64).powi(3) / best(|| square.matmul(&square).map(drop))?;
                let products = operations / rate;
                println!("{name:<26} {time:>10.2} {products:>14.2} {memory:>10.1}");
            }
        }
    }
    Ok(())
}

/// The shortest time of all runs, in milliseconds.
fn best<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}

/// A size of this process in MiB, as Linux reports it: resident now (`VmRSS`) or at most (`VmHWM`).
fn resident(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes / 1024.0)
}
