//! Milliseconds per evaluation (loss and gradient) of physics-informed networks with 10,000 points, the
//! shortest of many, beside the same multiply-adds at the rate of Candle's matrix products (`products`).
//!
//! Run with `cargo bench -p models --bench physics --profile dev [-- FILTER]`; `benches/torch_physics.py` times
//! the same rows in PyTorch. The memory is by how much the process grows; it is to be read from a run whose
//! filter leaves one row.

use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use models::Scope;
use models::physics::{Convection, Equation, PinnConfig, Wave};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod timing;

const RUNS: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = timing::Rows::start();
    for width in [50, 200] {
        for dtype in [DType::F32, DType::F64] {
            let convection = (
                "convection",
                Arc::new(Convection { speed: 40.0 }) as Arc<dyn Equation>,
            );
            for (name, equation) in [convection, ("wave", Arc::new(Wave { speed: 2.0 }))] {
                let name = format!("{name} {width} {}", dtype.as_str());
                if rows.skips(&name) {
                    continue;
                }
                let orders = equation.orders();
                let mut config = PinnConfig::default();
                config.network.width = width;
                let before = timing::resident("VmRSS");
                let scope = Scope::new(0, dtype, &Device::Cpu);
                let pinn = config.build(equation, &scope, &mut ChaCha8Rng::seed_from_u64(0))?;
                let time = shortest(|| pinn.loss_and_gradient().map(drop))?;
                let memory = timing::resident("VmHWM") - before;
                // Forward, and backward by inputs and weights, in the two layers between hidden units.
                let points = config.points.residual * (1 + orders.x + orders.t);
                let size = 768;
                let square = Tensor::ones((size, size), dtype, &Device::Cpu)?;
                let share = (2 * 3 * points * width * width) as f64 / (size as f64).powi(3);
                let product = shortest(|| square.matmul(&square).map(drop))?;
                timing::print(&name, "evaluation", time);
                timing::print_way(&name, "evaluation", "products", share * product);
                timing::print(&name, "memory", memory);
            }
        }
    }
    Ok(())
}

/// Milliseconds of the shortest run.
fn shortest<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut shortest = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        shortest = start.elapsed().as_secs_f64().min(shortest);
    }
    Ok(shortest * 1e3)
}
