//! Evaluations with gradient per second of every function at d = 2, 10 and 10,000 (or the nearest
//! dimension it has), and its time at the largest in passes of a sum of squares with its gradient.
//! The passes and the function take turns, and each reports its fastest turn. The first rows are
//! passes of a sine with cosine and of a power per coordinate, as a measure for functions that need
//! them.
//!
//! `cargo bench -p bench-functions`, or with part of a name: `cargo bench -p bench-functions levy`.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bench_functions::{TestFunction, bbob, classic, mgh, scalable};

/// How long a turn lasts, and how many there are.
const TURN: Duration = Duration::from_millis(4);
const TURNS: usize = 9;

/// Value and gradient at a point.
type Evaluate<'a> = &'a mut dyn FnMut(&[f64], &mut [f64]) -> f64;

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let wanted = |name: &str| {
        filter
            .as_ref()
            .is_none_or(|part| name.contains(part.as_str()))
    };
    println!("| function | d | evaluations/s | d | evaluations/s | d | evaluations/s | passes |");
    println!("|---|---|---|---|---|---|---|---|");
    reference("sine and cosine", |x, gradient| {
        elementwise(x, gradient, |x| x.sin_cos())
    });
    reference("power", |x, gradient| {
        elementwise(x, gradient, |x| (x.powf(black_box(0.7)), x))
    });
    let sets = [
        classic::FUNCTIONS,
        mgh::FUNCTIONS,
        scalable::FUNCTIONS,
        bbob::FUNCTIONS,
    ];
    for function in sets.concat() {
        if wanted(function.name) {
            measure(function);
        }
    }
}

fn reference(name: &str, mut evaluate: impl FnMut(&[f64], &mut [f64]) -> f64) {
    print!("| {name} |");
    let mut passes = 0.0;
    for dimension in [2, 10, 10_000] {
        passes = time(&vec![0.9; dimension], &mut evaluate);
    }
    println!(" {passes:.1} |");
}

fn measure(function: &TestFunction) {
    // Rotations cost d² per evaluation: bbob's large dimension is COCO's, 40.
    let largest = match function.group {
        Some(_) => 40,
        None => 10_000,
    };
    print!("| {} |", function.name);
    let mut passes = 0.0;
    for dimension in [2, 10, largest] {
        let mut built = function
            .build(function.dimensions.near(dimension), 1)
            .unwrap();
        // Off the start, where some functions have zeros that are cheaper.
        let x: Vec<f64> = built.start.iter().map(|x| 0.9 * x + 0.03).collect();
        passes = time(&x, &mut |x, gradient| built.evaluate(x, gradient));
    }
    println!(" {passes:.1} |");
}

/// Prints the dimension and the evaluations per second; returns the time in passes of a sum of
/// squares.
fn time(x: &[f64], evaluate: Evaluate) -> f64 {
    let mut gradient = vec![0.0; x.len()];
    let (mut seconds, mut pass) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..TURNS {
        seconds = seconds.min(turn(|| evaluate(black_box(x), &mut gradient)));
        pass = pass.min(turn(|| squares(black_box(x), &mut gradient)));
    }
    print!(" {} | {:.3e} |", x.len(), 1.0 / seconds);
    seconds / pass
}

/// Seconds per call within a turn.
fn turn(mut call: impl FnMut() -> f64) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < TURN {
        for _ in 0..16 {
            black_box(call());
        }
        calls += 16;
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}

/// Σ xᵢ² and its gradient, in eight partial sums.
fn squares(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (x, g) in x.chunks(8).zip(gradient.chunks_mut(8)) {
        for ((x, g), sum) in x.iter().zip(g).zip(&mut sums) {
            *sum += x * x;
            *g = 2.0 * x;
        }
    }
    sums.iter().sum()
}

/// The sum of the first results of a function of each coordinate; writes the second ones.
fn elementwise(x: &[f64], gradient: &mut [f64], f: impl Fn(f64) -> (f64, f64)) -> f64 {
    let mut sum = 0.0;
    for (x, g) in x.iter().zip(gradient) {
        let (term, slope) = f(*x);
        sum += term;
        *g = slope;
    }
    sum
}
