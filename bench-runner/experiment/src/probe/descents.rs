//! Descents: how far and how fast, over seeds.

use std::ops::Range;

use bench_stats::median;
use optim::{LbfgsConfig, Meter, Optimizer, Phase};
use rayon::prelude::*;

use super::build::{Build, SEEDS, problem};
use super::observed::{Descent, Observed};
use crate::error::Result;
use crate::optimizer::OptimizerConfig;
use crate::problem::{Draw, Environment, FunctionProblem, Problem};
use crate::run::advance;
use crate::spec::Suite;

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
    let of_condition = |&condition| {
        let seeds = (0..SEEDS).into_par_iter();
        seeds.map(|seed| one(condition, seed)).collect()
    };
    conditions.iter().map(of_condition).collect()
}

/// Descents to a target, over sizes in geometric progression.
pub(super) struct Descents<'a> {
    pub(super) optimizer: &'a OptimizerConfig,
    /// What the exponent is of, ascending: 1/ε, κ.
    pub(super) sizes: Vec<f64>,
    /// The problem of a size and a seed.
    pub(super) problem: &'a (dyn Fn(f64, u64) -> Result<FunctionProblem> + Sync),
    /// The error that a descent makes smaller.
    pub(super) error: &'a (dyn Fn(&mut FunctionProblem) -> Result<f64> + Sync),
    /// The target of a size: the descent ends when the error is at most this.
    pub(super) target: &'a (dyn Fn(f64) -> f64 + Sync),
    /// Whether the learning rate is searched for each size; else it is the optimizer's own.
    pub(super) tuned: bool,
    /// Whether only evaluations after the switch count.
    pub(super) after_switch: bool,
    /// How optimizers are made.
    pub(super) build: Build<'a>,
}

/// Seeds that learning rates are chosen on; none of them is measured. Odd, so that a median is a run's cost.
const TUNING: Range<u64> = 1000..1009;
/// Evaluations after which a descent has failed.
const LIMIT: u64 = 300_000;
/// Learning rates that a search tries at most for a size.
const MOST_RATES: i32 = 16;

impl Descents<'_> {
    /// For each size the evaluations of each seed until the error is at most the target.
    pub(super) fn observe(&self) -> Result<Observed> {
        let mut costs = Vec::new();
        let mut scale = 0;
        for &size in &self.sizes {
            if self.tuned {
                match self.search(size, scale)? {
                    Some(best) => scale = best,
                    None => return Ok(Observed::Nothing(self.no_best_rate(size))),
                }
            }
            let runs = self.costs(size, scale, 0..SEEDS, LIMIT)?;
            if runs.iter().any(|cost| cost.is_infinite()) {
                let target = (self.target)(size);
                return Ok(Observed::Nothing(format!(
                    "a descent to {target} does not end within {LIMIT} evaluations"
                )));
            }
            costs.push(runs);
        }
        Ok(Observed::Costs {
            sizes: self.sizes.clone(),
            costs,
        })
    }

    fn no_best_rate(&self, size: f64) -> String {
        let target = (self.target)(size);
        format!(
            "of {MOST_RATES} learning rates the best for {target} is still the smallest or the largest"
        )
    }

    /// The learning rate, as a power of 2 times the optimizer's own, whose median cost over the tuning seeds is
    /// least. Rates from a quarter to twice the one of `first` are tried, then further ones until the best has a
    /// worse one on both sides; `None` where it has none after so many.
    fn search(&self, size: f64, first: i32) -> Result<Option<i32>> {
        let (mut low, mut high) = (first - 2, first + 1);
        let mut best = (low, f64::INFINITY);
        let mut attempt = |scale| -> Result<(i32, f64)> {
            // A run that has cost more than the best median has lost: where most do, so has the rate.
            let limit = best.1.min(LIMIT as f64) as u64;
            let cost = median(&self.costs(size, scale, TUNING, limit)?);
            if cost < best.1 {
                best = (scale, cost);
            }
            Ok(best)
        };
        // Small rates first: they get there, and tell how long is too long.
        let (mut chosen, mut cost) = (low, f64::INFINITY);
        for scale in low..=high {
            (chosen, cost) = attempt(scale)?;
        }
        while high - low + 1 < MOST_RATES {
            // Where none gets there, all are too large: smaller ones are no faster than those that do.
            if chosen == low || cost.is_infinite() {
                low -= 1;
                (chosen, cost) = attempt(low)?;
            } else if chosen == high {
                high += 1;
                (chosen, cost) = attempt(high)?;
            } else {
                return Ok(Some(chosen));
            }
        }
        let interior = cost.is_finite() && chosen != low && chosen != high;
        Ok(interior.then_some(chosen))
    }

    /// The costs of seeds at a learning rate; infinite where it is more than `limit`.
    fn costs(&self, size: f64, scale: i32, seeds: Range<u64>, limit: u64) -> Result<Vec<f64>> {
        let seeds = seeds.into_par_iter();
        seeds
            .map(|seed| self.cost(size, scale, seed, limit))
            .collect()
    }

    fn cost(&self, size: f64, scale: i32, seed: u64, limit: u64) -> Result<f64> {
        let target = (self.target)(size);
        let mut problem = (self.problem)(size, seed)?;
        let mut optimizer = (self.build)(self.optimizer, problem.parameters())?;
        if self.tuned {
            let rate = optimizer.learning_rate() * 2f64.powi(scale);
            optimizer.set_learning_rate(rate)?;
        }
        let mut meter = Meter::new();
        let mut before = 0;
        for step in 0..limit {
            let (made, _) = advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
            let spent = meter.counts().evaluations();
            if self.after_switch && made.phase == Phase::FirstOrder {
                before = spent;
            }
            let error = (self.error)(&mut problem)?;
            if error <= target {
                return Ok((spent - before).max(1) as f64);
            }
            if spent >= limit || !error.is_finite() {
                break;
            }
        }
        Ok(f64::INFINITY)
    }
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
    let mean_of = |seed| {
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
        Ok(bench_stats::mean(&counts[10..]))
    };
    // One after the other: data are read under a lock with all threads, so that threads must not wait for the data.
    (0..SEEDS).map(mean_of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use optim::SgdConfig;

    use super::*;
    use crate::probe::FunctionClass;

    #[test]
    fn from_wherever_it_begins_the_search_finds_what_a_wide_grid_shows_best() {
        let optimizer = OptimizerConfig::from(SgdConfig {
            learning_rate: 0.3,
            ..SgdConfig::default()
        });
        for noise in [0.0, 0.5] {
            let descents = Descents {
                optimizer: &optimizer,
                sizes: vec![10.0],
                problem: &|_, seed| FunctionClass::StronglyConvex.problem(noise, seed),
                error: &|problem| FunctionClass::StronglyConvex.error(problem),
                target: &f64::recip,
                tuned: true,
                after_switch: false,
                build: &|config, parameters| config.build(parameters),
            };
            let cost = |scale| median(&descents.costs(10.0, scale, TUNING, LIMIT).unwrap());
            let scales = -7..=3;
            let best = scales.min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap();
            // The rate of 2.4 is beyond 2/L, and 0.3/128 too small.
            assert!((-6..=2).contains(&best), "{best}");
            for first in [-5, best, 4] {
                assert_eq!(descents.search(10.0, first).unwrap(), Some(best), "{noise}");
            }
            // The bound on the number of rates ends a search that begins too far away.
            assert_eq!(descents.search(10.0, 30).unwrap(), None);
        }
    }
}
