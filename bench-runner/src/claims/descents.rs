//! What descents show: rates and exponents, with intervals over seeds.

use optim::{LbfgsConfig, Meter, Optimizer, Phase};

use super::measure::{Build, SEEDS, problem};
use crate::problem::{Environment, FunctionProblem, Problem};
use crate::run::{CellId, advance};
use crate::spec::{OptimizerConfig, Suite};
use crate::stats::{Bootstrap, Estimate, exponent, linear_rate, mean};
use crate::{Error, Result};

fn bootstrap(level: f64) -> Bootstrap {
    Bootstrap {
        level,
        ..Bootstrap::default()
    }
}

/// f − f* after every step, with the evaluations until then, down to the floor of the arithmetic.
fn descent(
    problem: &mut FunctionProblem,
    optimizer: &mut dyn Optimizer,
    steps: u64,
) -> Result<(Vec<f64>, Vec<f64>)> {
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
    Ok((evaluations, errors))
}

/// The smallest R² over condition numbers of the line of ln(f − f*) against evaluations of L-BFGS.
pub(super) fn log_linearity(
    conditions: &[f64],
    noise: f64,
    build: Build<'_>,
    level: f64,
) -> Result<Estimate> {
    let config = OptimizerConfig::Lbfgs(LbfgsConfig {
        max_iter: 1,
        history_size: 5,
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..LbfgsConfig::default()
    });
    let mut worst: Option<Estimate> = None;
    for &condition in conditions {
        let mut fits = Vec::new();
        for seed in 0..SEEDS {
            let mut problem = problem(condition, noise, seed)?;
            let mut optimizer = build(&config, problem.parameters())?;
            let (evaluations, errors) = descent(&mut problem, optimizer.as_mut(), 300)?;
            fits.push(linear_rate(&evaluations, &errors)?.r_squared);
        }
        let fit = bootstrap(level).percentile(&fits, mean)?;
        if worst.is_none_or(|worst| fit.value < worst.value) {
            worst = Some(fit);
        }
    }
    worst.ok_or_else(|| Error::Problem {
        message: "`conditions` is empty".into(),
    })
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
    /// What is to be at most the target,
    pub(super) error: &'a dyn Fn(&mut FunctionProblem) -> Result<f64>,
    /// which is this for a size.
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

/// The exponent of the size in the evaluations until the error is at most the target.
pub(super) fn evaluations_exponent(
    descents: &Descents<'_>,
    build: Build<'_>,
    level: f64,
) -> Result<Estimate> {
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
    Ok(exponent(&descents.sizes, &costs, &bootstrap(level))?)
}

/// Evaluations per batch of a suite's optimizer on the digits, from the tenth batch on.
pub(super) fn evaluations_per_batch(
    suite: &str,
    label: &str,
    environment: &Environment,
    build: Build<'_>,
    level: f64,
) -> Result<Estimate> {
    let experiment = Suite::find(suite)?.experiment()?;
    let entry = experiment.optimizer(&experiment.problems[0].label, label)?;
    let quick = Suite::find("quick")?.experiment()?;
    let digits = quick.problem("mlp-digits")?;
    let mut means = Vec::new();
    for seed in 0..SEEDS {
        let cell = CellId {
            problem: digits.label.clone(),
            optimizer: label.into(),
            seed,
        };
        let mut problem = digits.config.build(&cell, environment)?;
        let mut optimizer = build(&entry.config, problem.parameters())?;
        let mut meter = Meter::new();
        let mut counts = Vec::new();
        for step in 0..60 {
            let before = meter.counts().evaluations();
            advance(problem.as_mut(), optimizer.as_mut(), step, &mut meter)?;
            counts.push((meter.counts().evaluations() - before) as f64);
        }
        means.push(mean(&counts[10..]));
    }
    Ok(bootstrap(level).percentile(&means, mean)?)
}
