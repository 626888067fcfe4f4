//! How fast runs evaluate the test functions, and how many evaluations L-BFGS needs.
//!
//! - `cargo bench -p bench-experiment --bench functions` prints for each function how many evaluations
//!   a second L-BFGS and Adam make, steps included, in a small dimension; and what an evaluation in a
//!   run takes at d = 10,000, or the nearest dimension, as a multiple of the function's own time. The
//!   two take turns, and each reports its fastest.
//! - `… -- --counts` prints a line of JSON for each function: the evaluations of L-BFGS until the value
//!   is within the target of the minimum. `scripts/scipy_lbfgs.py` does the same with SciPy's.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_data::{Library, Silent};
use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::problem::{Draw, Environment, Problem, ProblemConfig};
use bench_experiment::run::advance;
use bench_functions::{Function, TestFunction, bbob, mgh, scalable};
use candle_core::{Device, Tensor, Var};
use optim::{Gradient, LbfgsConfig, Meter, Objective, Oracle, Parameters};

/// How long a turn lasts, and how many there are.
const TURN: Duration = Duration::from_millis(10);
const TURNS: usize = 5;
/// Evaluations of L-BFGS before it gives up.
const MOST: u64 = 10_000;

const SETS: [(&str, &[&TestFunction]); 3] = [
    ("mgh", mgh::FUNCTIONS),
    ("bbob", bbob::FUNCTIONS),
    ("scalable", scalable::FUNCTIONS),
];

fn main() {
    if std::env::args().any(|argument| argument == "--counts") {
        counts();
    } else {
        speed();
    }
}

fn speed() {
    let environment = Environment {
        library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
        device: Device::Cpu,
    };
    println!(
        "| set | function | d | L-BFGS, evaluations/s | Adam, evaluations/s | d | run / function |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (set, functions) in SETS {
        for function in functions {
            let small = function.dimensions.near(2);
            // Rotations cost d² per evaluation: bbob's largest dimension is COCO's.
            let large = match function.group {
                Some(_) => 40,
                None => function.dimensions.near(10_000),
            };
            let rate = |optimizer| rate(set, function, small, optimizer, &environment);
            let (lbfgs, adam) = (
                rate("kind = 'lbfgs'"),
                rate("kind = 'adam'\nlearning_rate = 1e-6"),
            );
            println!(
                "| {set} | {} | {small} | {lbfgs:.0} | {adam:.0} | {large} | {:.2} |",
                function.name,
                overhead(set, function, large, &environment)
            );
        }
    }
}

fn build(
    set: &str,
    function: &TestFunction,
    dimension: usize,
    environment: &Environment,
) -> Box<dyn Problem> {
    let text = format!(
        "kind = '{set}'\nfunction = '{}'\ndimension = {dimension}",
        function.name
    );
    let config: ProblemConfig = toml::from_str(&text).unwrap();
    let draw = Draw {
        seed: 0,
        optimizer: "bench",
    };
    config.build(draw, environment).unwrap()
}

/// Evaluations a second of an optimizer that begins again at the start when it is done.
fn rate(
    set: &str,
    function: &TestFunction,
    dimension: usize,
    optimizer: &str,
    environment: &Environment,
) -> f64 {
    let optimizer: OptimizerConfig = toml::from_str(optimizer).unwrap();
    let mut problem = build(set, function, dimension, environment);
    let start = problem.parameters().snapshot().unwrap();
    let mut fastest = 0.0f64;
    for _ in 0..TURNS {
        let (mut meter, begun) = (Meter::new(), Instant::now());
        while begun.elapsed() < TURN {
            problem.parameters().restore(&start).unwrap();
            let mut built = optimizer.build(problem.parameters()).unwrap();
            for step in 0..20 {
                advance(&mut *problem, &mut *built, step, &mut meter).unwrap();
            }
        }
        let rate = meter.counts().evaluations() as f64 / begun.elapsed().as_secs_f64();
        fastest = fastest.max(rate);
    }
    fastest
}

/// The time of an evaluation in a run over that of the function alone.
fn overhead(
    set: &str,
    function: &TestFunction,
    dimension: usize,
    environment: &Environment,
) -> f64 {
    let mut problem = build(set, function, dimension, environment);
    let mut alone = function.build(dimension, 1).unwrap();
    let x: Vec<f64> = problem.parameters().vars()[0].to_vec1().unwrap();
    let mut gradient = vec![0.0; dimension];
    let (mut in_run, mut by_itself) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..TURNS {
        in_run = in_run.min(seconds(|| {
            let mut objective = problem.objective(0).unwrap();
            black_box(objective.loss_and_gradient().unwrap());
        }));
        by_itself = by_itself.min(seconds(|| {
            black_box(alone.evaluate(black_box(&x), &mut gradient));
        }));
    }
    in_run / by_itself
}

/// Seconds per call within a turn.
fn seconds(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < TURN {
        for _ in 0..8 {
            call();
        }
        calls += 8;
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}

fn counts() {
    for (set, functions) in SETS {
        for function in functions {
            let mut dimensions = [10, 100]
                .map(|near| function.dimensions.near(near))
                .to_vec();
            dimensions.dedup();
            for dimension in dimensions {
                let built = function.build(dimension, 1).unwrap();
                let Some(minimum) = built.minimum() else {
                    continue;
                };
                // The minima of Moré, Garbow and Hillstrom are published to six digits.
                let target = if set == "mgh" {
                    minimum + 1e-5 * minimum.abs().max(1.0)
                } else {
                    minimum + 1e-8 * minimum.abs().max(1.0)
                };
                let (reached, lowest) = evaluations(built, target);
                let line = serde_json::json!({
                    "set": set,
                    "function": function.name,
                    "dimension": dimension,
                    "target": target,
                    "evaluations": reached,
                    "lowest": lowest,
                });
                println!("{line}");
            }
        }
    }
}

/// Evaluations of L-BFGS until the value is at most the target, none where it gives up before; and the
/// lowest value it saw.
fn evaluations(function: Function, target: f64) -> (Option<u64>, f64) {
    let x = Tensor::new(function.start.as_slice(), &Device::Cpu).unwrap();
    let parameters = Parameters::new([("x", Var::from_tensor(&x).unwrap())]).unwrap();
    let mut watched = Watched {
        parameters: parameters.clone(),
        function,
        target,
        evaluations: 0,
        reached: None,
        lowest: f64::INFINITY,
    };
    let config = LbfgsConfig {
        max_iter: MOST,
        max_eval: Some(MOST),
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..LbfgsConfig::default()
    };
    let config = OptimizerConfig::from(config);
    let mut optimizer = config.build(&parameters).unwrap();
    let mut meter = Meter::with_budget(MOST);
    // It ends where the search finds no better point, or by the budget.
    let _ = optimizer.step(&mut Oracle::new(&mut watched, &mut meter));
    (watched.reached, watched.lowest)
}

/// A function that notes when it was first at most the target.
struct Watched {
    parameters: Parameters,
    function: Function,
    target: f64,
    evaluations: u64,
    reached: Option<u64>,
    lowest: f64,
}

impl Objective for Watched {
    fn loss(&mut self) -> optim::Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        let x: Vec<f64> = self.parameters.vars()[0].to_vec1()?;
        let mut gradient = vec![0.0; x.len()];
        let value = self.function.evaluate(&x, &mut gradient);
        self.evaluations += 1;
        self.lowest = self.lowest.min(value);
        if value <= self.target {
            self.reached.get_or_insert(self.evaluations);
        }
        let gradient = Tensor::new(gradient, &Device::Cpu)?;
        Ok((value, Gradient::new(&self.parameters, vec![gradient])?))
    }
}
