//! Milliseconds of one update from a given gradient, in f32: the shortest of several, beside the time that moving
//! its bytes takes (`floor`). For FUSE-PV before its switch it is a step, beside Adam's; for the methods on matrices
//! it is the mean over the updates from one change of their bases to the next.
//!
//! `cargo bench -p optim --bench first_order -- [LARGEST]` prints lines of four columns with tabs between them: the
//! row, what was measured, in which way, and the number. LARGEST leaves out larger numbers of parameters.
//! `torch_compare.py` prints the same rows for PyTorch; `scripts/performance.py` runs both in turns. Set
//! `RAYON_NUM_THREADS` to choose the number of threads.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, Var};
use optim::{
    AdamConfig, Criterion, FusePvConfig, Gradient, LionConfig, Meter, MuonConfig, NadamwConfig,
    Objective, Optimizer, Oracle, Parameters, ProdigyConfig, Result, ScheduleFreeAdamwConfig,
    SgdConfig, ShampooConfig, SoapConfig,
};
use rayon::prelude::*;

/// One update from a given gradient.
type Update = Box<dyn FnMut(&Gradient) -> Result<f64>>;

fn main() -> Result<()> {
    let largest = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let largest: usize = largest.unwrap_or(100_000_000);
    let sizes = [1_000_000, 10_000_000, 100_000_000]
        .map(|d| (format!("{} M, 1 tensor", d / 1_000_000), vec![vec![d]]));
    let sizes = sizes
        .into_iter()
        .filter(|(_, shapes)| shapes[0][0] <= largest);
    let resnet = ("ResNet-20, 65 tensors".to_owned(), resnet20());
    for (label, shapes) in std::iter::once(resnet.clone()).chain(sizes) {
        elementwise(&label, &shapes)?;
        first_phase(&label, &shapes)?;
    }
    for (label, shapes) in [resnet, ("GPT mini, 52 tensors".to_owned(), gpt_mini())] {
        on_matrices(&label, &shapes)?;
    }
    Ok(())
}

fn print(label: &str, method: &str, measure: &str, way: &str, time: Duration) {
    println!(
        "{label}, {method}\t{measure}\t{way}\t{:.4}",
        1e3 * time.as_secs_f64()
    );
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

fn first_phase(label: &str, shapes: &[Vec<usize>]) -> Result<()> {
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
    print(label, "FUSE-PV", "step", "ours", fuse);
    print(label, "FUSE-PV", "step", "Adam", adam);
    Ok(())
}

/// A tenth of the parameters.
fn gradient(parameters: &Parameters) -> Result<Gradient> {
    let tensors = parameters.vars().iter();
    let tensors = tensors.map(|var| Ok((var.as_detached_tensor() * 0.1)?));
    Gradient::new(parameters, tensors.collect::<Result<Vec<_>>>()?)
}

fn elementwise(label: &str, shapes: &[Vec<usize>]) -> Result<()> {
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
        print(label, name, "update", "ours", time);
        print(label, name, "update", "floor", floor);
    }
    Ok(())
}

/// The mean time of an update over a turn of as many as lie between two changes of the bases: the shortest of three
/// turns after a first.
fn on_matrices(label: &str, shapes: &[Vec<usize>]) -> Result<()> {
    const UPDATES: u32 = 10;
    let parameters = parameters(shapes)?;
    let gradient = gradient(&parameters)?;
    for name in ["Muon", "SOAP", "Shampoo"] {
        let mut update = build(name, &parameters)?;
        let mut turn = || -> Result<Duration> {
            let start = Instant::now();
            for _ in 0..UPDATES {
                update(&gradient)?;
            }
            Ok(start.elapsed() / UPDATES)
        };
        turn()?;
        let turns = [turn()?, turn()?, turn()?];
        print(
            label,
            name,
            "update",
            "ours",
            turns.into_iter().min().unwrap_or_default(),
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
        "Muon" => updates!(MuonConfig::default().build(parameters)?),
        "SOAP" => updates!(SoapConfig::default().build(parameters)?),
        "Shampoo" => {
            let config = ShampooConfig {
                start: 1,
                frequency: 10,
                ..ShampooConfig::default()
            };
            updates!(config.build(parameters)?)
        }
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

/// The shapes of a GPT of 4 blocks of width 128 with 256 tokens and a context of 64.
fn gpt_mini() -> Vec<Vec<usize>> {
    let width = 128;
    let mut shapes = vec![vec![256, width], vec![64, width]];
    for _ in 0..4 {
        shapes.extend([vec![width], vec![width], vec![width], vec![width]]);
        for (inputs, outputs) in [
            (width, 3 * width),
            (width, width),
            (width, 4 * width),
            (4 * width, width),
        ] {
            shapes.extend([vec![inputs, outputs], vec![outputs]]);
        }
    }
    shapes.extend([vec![width], vec![width]]);
    shapes
}
