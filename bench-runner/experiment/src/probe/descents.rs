//! Descents: how far and how fast, over seeds.

use optim::{LbfgsConfig, Meter, Optimizer, Phase};

use super::build::{Build, SEEDS, problem};
use crate::error::Result;
use crate::optimizer::OptimizerConfig;
use crate::problem::{Draw, Environment, FunctionProblem, Problem};
use crate::run::advance;
use crate::spec::Suite;

/// f − f* after every step, with the evaluations until then, down to the floor of the arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Descent {
    /// Evaluations.
    pub evaluations: Vec<f64>,
    /// f − f*.
    pub errors: Vec<f64>,
}

fn descent(
    problem: &mut FunctionProblem,
    optimizer: &mut dyn Optimizer,
    steps: u64,
) -> Result<Descent> {
    const FLOOR: f64 = 1e-13;
    let mut meter = Meter::new();
    let (mut evaluations, mut errors) = (Vec::new(), Vec::new());
    for step in 0..steps {
        advance(problem, optimizer, step, &mut meter)?;
        let error = problem.measure()?.loss;
        // The arithmetic ends the descent, in the loss or before in the search.
        if error <= FLOOR || errors.last() == Some(&error) {
            break;
        }
        evaluations.push(meter.counts().evaluations() as f64);
        errors.push(error);
    }
    Ok(Descent {
        evaluations,
        errors,
    })
}

/// Descents of L-BFGS on quadratics: for each condition number one for each seed.
pub(super) fn of_lbfgs(
    conditions: &[f64],
    noise: f64,
    build: Build<'_>,
) -> Result<Vec<Vec<Descent>>> {
    let config = OptimizerConfig::from(LbfgsConfig {
        max_iter: 1,
        history_size: 5,
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..LbfgsConfig::default()
    });
    let one = |condition, seed| {
        let mut problem = problem(condition, noise, seed)?;
        let mut optimizer = build(&config, problem.parameters())?;
        descent(&mut problem, optimizer.as_mut(), 300)
    };
    let of_condition = |&condition| (0..SEEDS).map(|seed| one(condition, seed)).collect();
    conditions.iter().map(of_condition).collect()
}

/// Descents to a target, over sizes in geometric progression.
pub(super) struct Descents<'a> {
    pub(super) optimizer: &'a OptimizerConfig,
    /// What the exponent is of: 1/ε, κ.
    pub(super) sizes: Vec<f64>,
    /// The problem of a size and a seed.
    pub(super) problem: &'a dyn Fn(f64, u64) -> Result<FunctionProblem>,
    /// The learning rate for a size; the optimizer's own where there is none.
    pub(super) rate: &'a dyn Fn(f64) -> Option<f64>,
    /// The error that a descent makes smaller.
    pub(super) error: &'a dyn Fn(&mut FunctionProblem) -> Result<f64>,
    /// The target of a size: the descent ends when the error is at most this.
    pub(super) target: &'a dyn Fn(f64) -> f64,
    /// Whether only evaluations after the switch count.
    pub(super) after_switch: bool,
}

/// 1/ε for six ε, each half the one before.
pub(super) fn inverse_targets(first: f64) -> Vec<f64> {
    const TARGETS: i32 = 6;
    let halved = |halvings| 2f64.powi(halvings) / first;
    (0..TARGETS).map(halved).collect()
}

/// For each size the evaluations of each seed until the error is at most the target.
pub(super) fn evaluations(descents: &Descents<'_>, build: Build<'_>) -> Result<Vec<Vec<f64>>> {
    const LIMIT: u64 = 1_000_000;
    let mut costs = Vec::new();
    for &size in &descents.sizes {
        let mut runs = Vec::new();
        for seed in 0..SEEDS {
            let mut problem = (descents.problem)(size, seed)?;
            let mut optimizer = build(descents.optimizer, problem.parameters())?;
            if let Some(rate) = (descents.rate)(size) {
                optimizer.set_learning_rate(rate)?;
            }
            let mut meter = Meter::new();
            let mut before = 0;
            for step in 0..LIMIT {
                let made = advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
                if descents.after_switch && made.phase == Phase::FirstOrder {
                    before = meter.counts().evaluations();
                }
                if (descents.error)(&mut problem)? <= (descents.target)(size) {
                    break;
                }
            }
            runs.push((meter.counts().evaluations() - before).max(1) as f64);
        }
        costs.push(runs);
    }
    Ok(costs)
}

/// Evaluations per batch of a suite's optimizer on the digits, from the tenth batch on: the mean of each seed.
pub(super) fn evaluations_per_batch(
    suite: &str,
    label: &str,
    environment: &Environment,
    build: Build<'_>,
) -> Result<Vec<f64>> {
    let experiment = Suite::find(suite)?.experiment()?;
    let entry = experiment.optimizer(&experiment.problems[0].label, label)?;
    let quick = Suite::find("quick")?.experiment()?;
    let digits = quick.problem("mlp-digits")?;
    let mut means = Vec::new();
    for seed in 0..SEEDS {
        let draw = Draw {
            seed,
            optimizer: label,
        };
        let mut problem = digits.config.build(draw, environment)?;
        let mut optimizer = build(&entry.config, problem.parameters())?;
        let mut meter = Meter::new();
        let mut counts = Vec::new();
        for step in 0..60 {
            let before = meter.counts().evaluations();
            advance(problem.as_mut(), optimizer.as_mut(), step, &mut meter)?;
            counts.push((meter.counts().evaluations() - before) as f64);
        }
        means.push(bench_stats::mean(&counts[10..]));
    }
    Ok(means)
}
