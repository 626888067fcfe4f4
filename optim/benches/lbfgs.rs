//! Milliseconds of L-BFGS without the objective's, beside the time to read its history twice (`floor`).
//!
//! `cargo bench -p optim --bench lbfgs -- [LARGEST]` prints rows as `first_order` does; `torch_compare.py` prints
//! the same rows for PyTorch on the same problem.
//!
//! "iteration" is a whole iteration of strong Wolfe's search with all it takes but the objective,
//! whose "evaluations" per iteration are printed. "direction" is what the history costs: an iteration
//! of fixed step length, one evaluation each, less one whose pairs are all refused. Set
//! `RAYON_NUM_THREADS` to choose the number of threads.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Storage, Tensor, Var};
use optim::{
    CurvatureGuard, Gradient, HistoryPrecision, Lbfgs, LbfgsConfig, LineSearch, Meter, Objective,
    Optimizer, Oracle, Parameters, Result,
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

impl Quadratic {
    fn new(d: usize) -> Result<Self> {
        let x = Var::from_tensor(&Tensor::ones(d, DType::F32, &Device::Cpu)?)?;
        let eigenvalue = |i| 100f32.powf((i as f32 * 0.618_034).fract());
        Ok(Self {
            parameters: Parameters::new([("x", x)])?,
            eigenvalues: (0..d).map(eigenvalue).collect(),
            time: Duration::ZERO,
        })
    }

    /// Sets the parameters back to their start.
    fn reset(&self) -> Result<()> {
        let x = &self.parameters.vars()[0];
        Ok(x.set(&x.ones_like()?)?)
    }
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
    let largest = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let largest: usize = largest.unwrap_or(100_000_000);
    for d in [1_000_000, 10_000_000, 100_000_000] {
        if d > largest {
            break;
        }
        for precision in [HistoryPrecision::Full, HistoryPrecision::Bf16] {
            report(d, precision)?;
        }
    }
    Ok(())
}

fn report(d: usize, history_precision: HistoryPrecision) -> Result<()> {
    let (name, bytes) = match history_precision {
        HistoryPrecision::Full => ("f32", 4),
        HistoryPrecision::Bf16 => ("bf16", 2),
    };
    let mut objective = Quadratic::new(d)?;
    let config = LbfgsConfig {
        history_size: HISTORY,
        history_precision,
        max_iter: HISTORY as u64,
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..LbfgsConfig::default()
    };
    // The first step fills the history and is not timed.
    let steps = 0..(80_000_000 / d).clamp(3, 8);
    let mut searching = config.clone().build(&objective.parameters)?;
    let mut iteration = f64::INFINITY;
    let mut evaluations = 0.0;
    for step in steps.clone() {
        let (time, per_iteration) = iteration_time(&mut searching, &mut objective)?;
        if step > 0 && time < iteration {
            (iteration, evaluations) = (time, per_iteration);
        }
    }
    drop(searching);

    objective.reset()?;
    let fixed = LbfgsConfig {
        line_search: LineSearch::Fixed,
        lr: 1e-3,
        ..config
    };
    let refusing = LbfgsConfig {
        guard: CurvatureGuard::Absolute(f64::MAX),
        ..fixed.clone()
    };
    let mut storing = fixed.build(&objective.parameters)?;
    let mut refusing = refusing.build(&objective.parameters)?;
    let history = 2 * HISTORY * d * bytes;
    // Of a large history a part tells the speed.
    let memory = vec![1u64; history.min(512 << 20) / 8];
    let [mut without, mut with, mut floor] = [f64::INFINITY; 3];
    // In turns, so that all see the same load of the machine.
    for step in steps {
        let (refused, _) = iteration_time(&mut refusing, &mut objective)?;
        let (stored, _) = iteration_time(&mut storing, &mut objective)?;
        let read = read_time(&memory) * history as f64 / (8 * memory.len()) as f64;
        if step > 0 {
            without = without.min(refused);
            with = with.min(stored);
            floor = floor.min(2.0 * read);
        }
    }
    let direction = with - without;
    let row = format!("{} M, {name} history", d / 1_000_000);
    for (measure, way, number) in [
        ("iteration", "ours", iteration),
        ("evaluations", "ours", evaluations),
        ("direction", "ours", direction),
        ("direction", "floor", floor),
    ] {
        println!("{row}\t{measure}\t{way}\t{number:.4}");
    }
    Ok(())
}

/// Milliseconds of an iteration of one step, the objective's excluded, and evaluations of one.
fn iteration_time(lbfgs: &mut Lbfgs, objective: &mut Quadratic) -> Result<(f64, f64)> {
    objective.time = Duration::ZERO;
    let start = Instant::now();
    let mut meter = Meter::new();
    let step = lbfgs.step(&mut Oracle::new(objective, &mut meter))?;
    let time = start.elapsed() - objective.time;
    let iterations = step.iterations as f64;
    Ok((
        1e3 * time.as_secs_f64() / iterations,
        meter.counts().evaluations() as f64 / iterations,
    ))
}

/// Milliseconds to read `memory` once more, so that it comes from a cache if it fits in one: four
/// streams at a time, which is faster than one.
fn read_time(memory: &[u64]) -> f64 {
    read(memory);
    let start = Instant::now();
    read(memory);
    1e3 * start.elapsed().as_secs_f64()
}

fn read(memory: &[u64]) {
    let streams = memory.len() / 4;
    let [a, b, c, d] = [0, 1, 2, 3].map(|stream| &memory[stream * streams..][..streams]);
    let starts = (0..streams).into_par_iter().step_by(CHUNK);
    starts.for_each(|from| {
        let range = from..streams.min(from + CHUNK);
        let [a, b, c, d] = [a, b, c, d].map(|stream| stream[range.clone()].as_chunks::<8>().0);
        // In lanes, so that it is compiled to vector instructions.
        let mut lanes = [0; 8];
        for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
            for ((((lane, a), b), c), d) in lanes.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *lane ^= a ^ b ^ c ^ d;
            }
        }
        black_box(lanes);
    });
}
