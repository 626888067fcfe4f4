//! Time of one fused update against the time that moving its bytes takes.
//!
//! `cargo bench -p optim` prints one row per optimizer and size; `torch_compare.py` prints the same
//! rows for PyTorch. A second table tells what FUSE-PV adds to Adam before its switch. Set
//! `RAYON_NUM_THREADS` to choose the number of threads, and pass a largest number of parameters to
//! leave out larger sizes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, Var};
use optim::{
    AdamConfig, Criterion, FusePvConfig, Gradient, LionConfig, Meter, NadamwConfig, Objective,
    Optimizer, Oracle, Parameters, ProdigyConfig, Result, ScheduleFreeAdamwConfig, SgdConfig,
};
use rayon::prelude::*;

/// One update from a given gradient.
type Update = Box<dyn FnMut(&Gradient) -> Result<f64>>;

fn main() -> Result<()> {
    let largest = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let largest: usize = largest.unwrap_or(100_000_000);
    println!(
        "{} threads, f32; best of several updates",
        rayon::current_num_threads()
    );
    println!("| model | optimizer | ms | B/parameter | GB/s | floor ms | time / floor |");
    println!("|---|---|---|---|---|---|---|");
    report("ResNet-20, 65 tensors", &resnet20())?;
    for d in [1_000_000, 10_000_000, 100_000_000] {
        if d <= largest {
            report(&format!("{} M, 1 tensor", d / 1_000_000), &[vec![d]])?;
        }
    }
    println!("\nA step of FUSE-PV before its switch beside Adam's, both from a given gradient");
    println!("| model | Adam ms | FUSE-PV ms | FUSE-PV / Adam |");
    println!("|---|---|---|---|");
    report_first_phase("ResNet-20, 65 tensors", &resnet20())?;
    for d in [1_000_000, 10_000_000, 100_000_000] {
        if d <= largest {
            report_first_phase(&format!("{} M, 1 tensor", d / 1_000_000), &[vec![d]])?;
        }
    }
    Ok(())
}

/// A loss of 1 with a gradient that is there already.
struct Given(Gradient);

impl Objective for Given {
    fn loss(&mut self) -> Result<f64> {
        Ok(1.0)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        Ok((1.0, self.0.clone()))
    }
}

fn report_first_phase(label: &str, shapes: &[Vec<usize>]) -> Result<()> {
    let parameters = parameters(shapes)?;
    let mut adam = AdamConfig::default().build(&parameters)?;
    let mut fuse = FusePvConfig {
        criterion: Criterion::GradNorm {
            threshold: 0.0,
            relative: false,
        },
        ..FusePvConfig::default()
    }
    .build(&parameters)?;
    let gradient = gradient(&parameters)?;
    let step = |optimizer: &mut dyn Optimizer| -> Result<()> {
        let mut objective = Given(gradient.clone());
        optimizer.step(&mut Oracle::new(&mut objective, &mut Meter::new()))?;
        Ok(())
    };
    let d = parameters.element_count();
    let (adam, fuse) = best_times(d, || step(&mut adam), || step(&mut fuse))?;
    let (adam, fuse) = (adam.as_secs_f64(), fuse.as_secs_f64());
    println!(
        "| {label} | {:.3} | {:.3} | {:.3} |",
        1e3 * adam,
        1e3 * fuse,
        fuse / adam
    );
    Ok(())
}

/// A tenth of the parameters.
fn gradient(parameters: &Parameters) -> Result<Gradient> {
    let tensors = parameters.vars().iter();
    let tensors = tensors.map(|var| Ok((var.as_detached_tensor() * 0.1)?));
    Gradient::new(parameters, tensors.collect::<Result<Vec<_>>>()?)
}

fn report(label: &str, shapes: &[Vec<usize>]) -> Result<()> {
    let parameters = parameters(shapes)?;
    let d = parameters.element_count();
    let gradient = gradient(&parameters)?;
    for (name, vectors) in [
        ("SGD", 3),
        ("SGD momentum", 5),
        ("Adam", 7),
        ("AdamW", 7),
        ("NadamW", 7),
        ("Lion", 5),
        ("Schedule-Free AdamW", 7),
        ("Prodigy", 14),
    ] {
        let mut update = build(name, &parameters)?;
        let mut move_bytes = mover(d, vectors);
        let update = || update(&gradient).map(|_| ());
        let (time, floor) = best_times(d, update, || {
            move_bytes();
            Ok(())
        })?;
        let bytes = (4 * vectors * d) as f64;
        let (seconds, floor) = (time.as_secs_f64(), floor.as_secs_f64());
        println!(
            "| {label} | {name} | {:.3} | {} | {:.1} | {:.3} | {:.2} |",
            1e3 * seconds,
            4 * vectors,
            bytes / seconds / 1e9,
            1e3 * floor,
            seconds / floor,
        );
    }
    Ok(())
}

fn build(name: &str, parameters: &Parameters) -> Result<Update> {
    macro_rules! updates {
        ($optimizer:expr) => {{
            let mut optimizer = $optimizer;
            Box::new(move |gradient| optimizer.update(gradient))
        }};
    }
    Ok(match name {
        "SGD" | "SGD momentum" => {
            let momentum = if name == "SGD" { 0.0 } else { 0.9 };
            let config = SgdConfig {
                momentum,
                ..SgdConfig::default()
            };
            updates!(config.build(parameters)?)
        }
        "NadamW" => updates!(NadamwConfig::default().build(parameters)?),
        "Lion" => updates!(LionConfig::default().build(parameters)?),
        "Schedule-Free AdamW" => {
            updates!(ScheduleFreeAdamwConfig::default().build(parameters)?)
        }
        "Prodigy" => updates!(ProdigyConfig::default().build(parameters)?),
        _ => {
            let config = if name == "AdamW" {
                AdamConfig::adamw()
            } else {
                AdamConfig::default()
            };
            updates!(config.build(parameters)?)
        }
    })
}

/// Moves the bytes of an update that passes over `vectors` vectors: half of them, rounded down,
/// changed in place and one only read, with hardly any arithmetic.
fn mover(d: usize, vectors: usize) -> Box<dyn FnMut()> {
    const CHUNK: usize = 16 * 1024;
    let only_read = vec![1f32; d];
    let mut changed = vec![vec![1f32; d]; vectors / 2];
    Box::new(move || {
        let mut rest: Vec<&mut [f32]> = changed.iter_mut().map(Vec::as_mut_slice).collect();
        let mut chunks = Vec::new();
        for read in only_read.chunks(CHUNK) {
            let pieces: Vec<&mut [f32]> = rest
                .iter_mut()
                .filter_map(|vector| vector.split_off_mut(..read.len()))
                .collect();
            chunks.push((read, pieces));
        }
        chunks.into_par_iter().for_each(|(read, pieces)| {
            for piece in pieces {
                for (element, read) in piece.iter_mut().zip(read) {
                    *element += read;
                }
            }
        });
        black_box(&mut changed);
    })
}

/// The shortest run of each function on `d` parameters, of as many as `torch_compare.py` makes. The
/// functions take three turns, so that both meet the same load on the machine. In each turn a
/// function runs several times in a row, so that it finds its own data in the caches.
fn best_times(
    d: usize,
    mut f: impl FnMut() -> Result<()>,
    mut g: impl FnMut() -> Result<()>,
) -> Result<(Duration, Duration)> {
    const TURNS: usize = 3;
    fn best(runs: usize, f: &mut impl FnMut() -> Result<()>) -> Result<Duration> {
        let mut best = Duration::MAX;
        for _ in 0..runs {
            let start = Instant::now();
            f()?;
            best = best.min(start.elapsed());
        }
        Ok(best)
    }
    let runs = (300_000_000 / d).clamp(6, 300) / TURNS;
    let mut shortest = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        shortest.0 = shortest.0.min(best(runs, &mut f)?);
        shortest.1 = shortest.1.min(best(runs, &mut g)?);
    }
    Ok(shortest)
}

fn parameters(shapes: &[Vec<usize>]) -> Result<Parameters> {
    let vars = shapes.iter().enumerate().map(|(i, shape)| {
        let values = Tensor::rand(-1f32, 1f32, shape.as_slice(), &Device::Cpu)?;
        Ok((
            format!("p{i:03}"),
            Var::from_tensor(&values.to_dtype(DType::F32)?)?,
        ))
    });
    Parameters::new(vars.collect::<Result<Vec<_>>>()?)
}

/// The shapes of the 0.27 M ResNet-20 for CIFAR: 19 convolutions 3×3, 2 batch-norm vectors for each
/// and further 2 convolutions 1×1 with theirs, and the classifier.
fn resnet20() -> Vec<Vec<usize>> {
    let mut shapes = Vec::new();
    let mut convolution = |from: usize, to: usize, kernel: usize| {
        shapes.push(vec![to, from, kernel, kernel]);
        shapes.push(vec![to]);
        shapes.push(vec![to]);
    };
    convolution(3, 16, 3);
    for (from, to) in [(16, 16), (16, 32), (32, 64)] {
        convolution(from, to, 3);
        for _ in 0..5 {
            convolution(to, to, 3);
        }
        if from != to {
            convolution(from, to, 1);
        }
    }
    shapes.push(vec![10, 64]);
    shapes.push(vec![10]);
    shapes
}
