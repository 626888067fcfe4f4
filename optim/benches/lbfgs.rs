//! Time of one L-BFGS iteration without the objective's, against the time to read its history twice.
//!
//! `cargo bench -p optim --bench lbfgs` prints one row per size and format of the history;
//! `torch_compare.py` prints the same rows for PyTorch. "No pairs" is an iteration whose pairs are
//! all refused, so the difference is what the history costs: the direction. Set `RAYON_NUM_THREADS`
//! to choose the number of threads, and pass numbers of parameters to choose the sizes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Storage, Tensor, Var};
use optim::{
    CurvatureGuard, Gradient, HistoryPrecision, Lbfgs, LbfgsConfig, Meter, Objective, Optimizer,
    Oracle, Parameters, Result,
};
use rayon::prelude::*;

const HISTORY: usize = 10;
const CHUNK: usize = 32 * 1024;

/// ½ Σ λᵢxᵢ² with λ between 1 and 100, ill-conditioned enough to last. It runs on rayon's threads,
/// as the optimizer does: Candle's own would still spin when the optimizer's turn comes.
struct Quadratic {
    parameters: Parameters,
    eigenvalues: Vec<f32>,
    /// Time spent in here.
    time: Duration,
}

impl Objective for Quadratic {
    fn loss(&mut self) -> Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let start = Instant::now();
        let x = self.parameters.vars()[0].as_detached_tensor();
        let mut gradient = vec![0f32; self.eigenvalues.len()];
        let (storage, _) = x.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            unreachable!("the benchmark's parameters are on the CPU")
        };
        let chunks = gradient
            .par_chunks_mut(CHUNK)
            .zip(storage.as_slice::<f32>()?.par_chunks(CHUNK))
            .zip(self.eigenvalues.par_chunks(CHUNK));
        let loss: f64 = chunks
            .map(|((gradient, x), eigenvalues)| {
                for ((g, x), eigenvalue) in gradient.iter_mut().zip(x).zip(eigenvalues) {
                    *g = eigenvalue * x;
                }
                let products = gradient.iter().zip(x);
                products
                    .map(|(g, x)| 0.5 * f64::from(*g) * f64::from(*x))
                    .sum::<f64>()
            })
            .sum();
        let gradient = Tensor::from_vec(gradient, x.shape(), &Device::Cpu)?;
        let gradient = Gradient::new(&self.parameters, vec![gradient])?;
        self.time += start.elapsed();
        Ok((loss, gradient))
    }
}

fn main() -> Result<()> {
    let arguments = std::env::args().skip(1);
    let mut sizes: Vec<usize> = arguments.filter_map(|size| size.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000_000, 10_000_000, 100_000_000];
    }
    let threads = rayon::current_num_threads();
    println!("{threads} threads, f32, m = {HISTORY}, strong Wolfe; best of several");
    println!(
        "| parameters | history | no pairs ms | ms | direction ms | floor ms | direction / floor |"
    );
    println!("|---|---|---|---|---|---|---|");
    for d in sizes {
        for precision in [HistoryPrecision::Full, HistoryPrecision::Bf16] {
            report(d, precision)?;
        }
    }
    Ok(())
}

fn report(d: usize, precision: HistoryPrecision) -> Result<()> {
    let (name, bytes) = match precision {
        HistoryPrecision::Full => ("f32", 4),
        HistoryPrecision::Bf16 => ("bf16", 2),
    };
    let mut refused = Run::new(d, precision, CurvatureGuard::Absolute(f64::MAX))?;
    let mut stored = Run::new(d, precision, CurvatureGuard::default())?;
    let history = 2 * HISTORY * d * bytes;
    // Of a large history a part tells the speed.
    let memory = vec![1u64; history.min(512 << 20) / 8];
    let [mut without, mut with, mut floor] = [f64::INFINITY; 3];
    // In turns, so that all see the same load of the machine; the first step fills the history.
    for step in 0..8 {
        let times = [refused.iteration_time()?, stored.iteration_time()?];
        let read = read_time(&memory) * history as f64 / (8 * memory.len()) as f64;
        if step > 0 {
            without = without.min(times[0]);
            with = with.min(times[1]);
            floor = floor.min(2.0 * read);
        }
    }
    let direction = with - without;
    println!(
        "| {} M | {name} | {without:.2} | {with:.2} | {direction:.2} | {floor:.2} | {:.2} |",
        d / 1_000_000,
        direction / floor,
    );
    Ok(())
}

struct Run {
    objective: Quadratic,
    lbfgs: Lbfgs,
}

impl Run {
    fn new(d: usize, history_precision: HistoryPrecision, guard: CurvatureGuard) -> Result<Self> {
        let x = Var::from_tensor(&Tensor::ones(d, DType::F32, &Device::Cpu)?)?;
        let parameters = Parameters::new([("x", x)])?;
        let config = LbfgsConfig {
            history_size: HISTORY,
            history_precision,
            guard,
            max_iter: HISTORY as u64,
            tolerance_grad: 0.0,
            tolerance_change: 0.0,
            ..LbfgsConfig::default()
        };
        Ok(Self {
            lbfgs: config.build(&parameters)?,
            objective: Quadratic {
                parameters,
                eigenvalues: (0..d)
                    .map(|i| 100f32.powf((i as f32 * 0.618_034).fract()))
                    .collect(),
                time: Duration::ZERO,
            },
        })
    }

    /// Milliseconds of an iteration of one step, the objective's excluded.
    fn iteration_time(&mut self) -> Result<f64> {
        self.objective.time = Duration::ZERO;
        let start = Instant::now();
        let mut meter = Meter::new();
        let step = self
            .lbfgs
            .step(&mut Oracle::new(&mut self.objective, &mut meter))?;
        let time = start.elapsed() - self.objective.time;
        Ok(1e3 * time.as_secs_f64() / step.iterations as f64)
    }
}

/// Milliseconds to read `memory` once.
fn read_time(memory: &[u64]) -> f64 {
    let start = Instant::now();
    let chunks = memory.par_chunks(CHUNK);
    let folded = chunks.map(|chunk| chunk.iter().fold(0, |a, b| a ^ b));
    black_box(folded.reduce(|| 0, |a, b| a ^ b));
    1e3 * start.elapsed().as_secs_f64()
}
