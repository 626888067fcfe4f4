//! Evaluations with gradient per second of every function at d = 2, 10 and 10,000 (or the nearest
//! dimension it has), and its time at the largest in passes of a sum of squares with its gradient.
//! The passes and the function take turns, and each reports its fastest turn.
//!
//! `cargo bench -p bench-functions`, or with part of a name: `cargo bench -p bench-functions --
//! levy`.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bench_functions::{Function, TestFunction, bbob, classic, mgh, scalable};

/// How long a turn lasts, and how many there are.
const TURN: Duration = Duration::from_millis(4);
const TURNS: usize = 7;

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
    for set in [
        classic::FUNCTIONS,
        mgh::FUNCTIONS,
        scalable::FUNCTIONS,
        bbob::FUNCTIONS,
    ] {
        for function in set.iter().filter(|function| wanted(function.name)) {
            println!("{}", row(function));
        }
    }
}

fn row(function: &TestFunction) -> String {
    // Rotations cost d² per evaluation: bbob's large dimension is COCO's, 40.
    let largest = if function.group.is_some() { 40 } else { 10_000 };
    let mut row = format!("| {} |", function.name);
    let mut passes = 0.0;
    for dimension in [2, 10, largest] {
        let dimension = function.dimensions.near(dimension);
        let mut built = function.build(dimension, 1).unwrap();
        let seconds;
        (seconds, passes) = time(&mut built);
        row += &format!(" {dimension} | {:.3e} |", 1.0 / seconds);
    }
    format!("{row} {passes:.1} |")
}

/// Seconds per evaluation, and the ratio to a pass of a sum of squares.
fn time(function: &mut Function) -> (f64, f64) {
    // Off the start, where some functions have zeros that are cheaper.
    let x: Vec<f64> = function.start.iter().map(|x| 0.9 * x + 0.03).collect();
    let mut gradient = vec![0.0; x.len()];
    let (mut seconds, mut pass) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..TURNS {
        seconds = seconds.min(turn(|| function.evaluate(black_box(&x), &mut gradient)));
        pass = pass.min(turn(|| squares(black_box(&x), &mut gradient)));
    }
    (seconds, seconds / pass)
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
