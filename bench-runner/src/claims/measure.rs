//! The measurements behind claims: counts of single steps, evaluations to a target, results of suites.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{DType, Device};
use optim::{FuseConfig, LbfgsConfig, LineSearch, Meter, Optimizer, PairSource, Theta};

use super::{Claim, Evidence, Measured};
use crate::Result;
use crate::probe::{StepCost, step_cost_on};
use crate::problem::{Environment, FunctionProblem, Problem, QuadraticConfig};
use crate::run::{CellId, RunRecord, advance};
use crate::spec::{OptimizerConfig, Suite};
use crate::stats::{
    Bootstrap, Estimate, exponent, linear_rate, mean, median, probability_of_improvement_interval,
    wilson,
};
use crate::store::Results;

/// Dimensions in geometric progression.
const DIMENSIONS: [usize; 6] = [16, 32, 64, 128, 256, 512];
/// Numbers of pairs between which the cost of a pair is told.
const PAIRS: [usize; 2] = [5, 15];
/// Targets of an exponent, each half the one before.
const TARGETS: usize = 6;
/// Seeds of a measurement of its own.
const SEEDS: u64 = 10;

/// Measures the evidence for claims.
pub struct Measurer<'a> {
    /// Where problems are built.
    pub environment: &'a Environment,
    /// The results of a built-in suite, made where they are missing; or why its data are not there.
    pub results: &'a mut dyn FnMut(&str) -> Result<Result<Results, String>>,
}

impl Measurer<'_> {
    /// Measures what a claim rests on.
    ///
    /// # Errors
    /// When a problem or an optimizer cannot be built, a step fails, or a suite cannot be run for another
    /// reason than missing data, which makes its claims untestable.
    pub fn measure(&mut self, claim: &Claim) -> Result<Measured> {
        Ok(match &claim.evidence {
            Evidence::Untestable { reason } => Measured::Nothing(reason.clone()),
            Evidence::ElementsPerStep { optimizer } => {
                Measured::Exact(elements_exponent(optimizer, |cost, _| cost)?)
            }
            Evidence::PassesPerPair {} => Measured::Exact(per_pair(|passes, _| passes)?.0),
            Evidence::VectorsPerPair {} => Measured::Exact(per_pair(|passes, _| passes)?.1),
            Evidence::VectorsHeld { optimizer } => {
                Measured::Exact(counted(optimizer, DIMENSIONS[0], 8..16)?.state)
            }
            Evidence::DifferingBits { theta } => Measured::Exact(differing_bits(*theta)?),
            Evidence::LogLinearity { conditions, noise } => {
                Measured::Estimated(log_linearity(conditions, *noise)?)
            }
            Evidence::EvaluationsExponent {
                optimizer,
                rate_per_target,
                noise,
                first_target,
                after_switch,
            } => Measured::Estimated(evaluations_exponent(
                optimizer,
                *rate_per_target,
                *noise,
                *first_target,
                *after_switch,
            )?),
            Evidence::EvaluationsPerBatch { suite, optimizer } => {
                self.evaluations_per_batch(suite, optimizer)?
            }
            Evidence::Wins {
                suite,
                method,
                other,
            } => match (self.results)(suite)? {
                Ok(results) => wins(&results, method, other)?,
                Err(reason) => Measured::Nothing(reason),
            },
            Evidence::ProbabilityOfLowerLoss {
                suite,
                method,
                other,
            } => match (self.results)(suite)? {
                Ok(results) => lower_loss(&results, method, other)?,
                Err(reason) => Measured::Nothing(reason),
            },
        })
    }

    fn evaluations_per_batch(&self, suite: &str, label: &str) -> Result<Measured> {
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
            let mut problem = digits.config.build(&cell, self.environment)?;
            let mut optimizer = entry.config.build(problem.parameters())?;
            let mut meter = Meter::new();
            let mut counts = Vec::new();
            for step in 0..60 {
                let before = meter.counts().evaluations();
                advance(problem.as_mut(), optimizer.as_mut(), step, &mut meter)?;
                counts.push((meter.counts().evaluations() - before) as f64);
            }
            means.push(mean(&counts[10..]));
        }
        Ok(Measured::Estimated(
            Bootstrap::default().percentile(&means, mean)?,
        ))
    }
}

/// What the given steps cost on an ill-conditioned quadratic without noise, on which no pair of L-BFGS is
/// refused.
fn counted(optimizer: &OptimizerConfig, dimension: usize, steps: Range<u64>) -> Result<StepCost> {
    step_cost_on(&quadratic(dimension, 1e4, 0.0), optimizer, steps)
}

/// The exponent of d in the elements that a step moves; `tamper` may change the count at a dimension.
fn elements_exponent(optimizer: &OptimizerConfig, tamper: impl Fn(f64, f64) -> f64) -> Result<f64> {
    let mut costs = Vec::new();
    for dimension in DIMENSIONS {
        let elements = counted(optimizer, dimension, 8..16)?.passes * dimension as f64;
        costs.push(vec![tamper(elements, dimension as f64); 2]);
    }
    let sizes = DIMENSIONS.map(|dimension| dimension as f64);
    let fit = exponent(&sizes, &costs, &Bootstrap::default())?;
    Ok(without_rounding(fit.value))
}

/// What one more pair in a full memory costs, in passes per step and in vectors held. One evaluation per step,
/// so that nothing else differs.
fn per_pair(tamper: impl Fn(f64, f64) -> f64) -> Result<(f64, f64)> {
    let mut costs = Vec::new();
    for history_size in PAIRS {
        let config = LbfgsConfig {
            history_size,
            max_iter: 1,
            line_search: LineSearch::Fixed,
            pairs: PairSource::Carried,
            tolerance_grad: 0.0,
            tolerance_change: 0.0,
            ..LbfgsConfig::default()
        };
        let cost = counted(&OptimizerConfig::Lbfgs(config), 200, 30..50)?;
        costs.push((tamper(cost.passes, history_size as f64), cost.state));
    }
    let more = (PAIRS[1] - PAIRS[0]) as f64;
    Ok((
        without_rounding((costs[1].0 - costs[0].0) / more),
        without_rounding((costs[1].1 - costs[0].1) / more),
    ))
}

/// A number that follows from counts: what the arithmetic on them rounds is no part of it.
fn without_rounding(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

fn quadratic(dimension: usize, condition: f64, noise: f64) -> QuadraticConfig {
    QuadraticConfig {
        dimension,
        condition,
        noise,
        steps_per_epoch: 10,
    }
}

/// A quadratic of 10 variables, from the start of a seed.
fn problem(condition: f64, noise: f64, seed: u64) -> Result<FunctionProblem> {
    FunctionProblem::quadratic(&quadratic(10, condition, noise), seed, &Device::Cpu)
}

/// Parameters that differ between FUSE and its limit, over all steps.
fn differing_bits(theta: u8) -> Result<f64> {
    let fuse = OptimizerConfig::Fuse(FuseConfig {
        theta: Theta::Constant(f64::from(theta)),
        ..FuseConfig::default()
    });
    let limit = match theta {
        1 => OptimizerConfig::Adam(optim::AdamConfig::default()),
        _ => OptimizerConfig::Lbfgs(LbfgsConfig::default()),
    };
    let mut differing = 0;
    for seed in 0..SEEDS {
        let mut runs = Vec::new();
        for config in [&fuse, &limit] {
            let mut problem = problem(100.0, 0.1, seed)?;
            let mut optimizer = config.build(problem.parameters())?;
            let mut meter = Meter::new();
            let mut values = Vec::new();
            for step in 0..60 {
                advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
                for tensor in problem.parameters().snapshot()? {
                    let tensor = tensor.flatten_all()?.to_dtype(DType::F64)?;
                    values.extend(tensor.to_vec1::<f64>()?);
                }
            }
            runs.push(values);
        }
        let pairs = runs[0].iter().zip(&runs[1]);
        differing += pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    }
    Ok(differing as f64)
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

fn log_linearity(conditions: &[f64], noise: f64) -> Result<Estimate> {
    let mut worst: Option<Estimate> = None;
    for &condition in conditions {
        let mut fits = Vec::new();
        for seed in 0..SEEDS {
            let mut problem = problem(condition, noise, seed)?;
            let config = LbfgsConfig {
                max_iter: 1,
                history_size: 5,
                tolerance_grad: 0.0,
                tolerance_change: 0.0,
                ..LbfgsConfig::default()
            };
            let mut optimizer = config.build(problem.parameters())?;
            let (evaluations, errors) = descent(&mut problem, &mut optimizer, 300)?;
            fits.push(linear_rate(&evaluations, &errors)?.r_squared);
        }
        let fit = Bootstrap::default().percentile(&fits, mean)?;
        if worst.is_none_or(|worst| fit.value < worst.value) {
            worst = Some(fit);
        }
    }
    worst.ok_or_else(|| crate::Error::Problem {
        message: "`conditions` is empty".into(),
    })
}

fn evaluations_exponent(
    optimizer: &OptimizerConfig,
    rate_per_target: Option<f64>,
    noise: f64,
    first_target: f64,
    after_switch: bool,
) -> Result<Estimate> {
    const LIMIT: u64 = 1_000_000;
    let (mut sizes, mut costs) = (Vec::new(), Vec::new());
    for halvings in 0..TARGETS as i32 {
        let target = first_target * 0.5f64.powi(halvings);
        let mut runs = Vec::new();
        for seed in 0..SEEDS {
            let mut problem = problem(10.0, noise, seed)?;
            let mut optimizer = optimizer.build(problem.parameters())?;
            if let Some(factor) = rate_per_target {
                optimizer.set_learning_rate(factor * target)?;
            }
            let mut meter = Meter::new();
            let mut before = 0;
            for step in 0..LIMIT {
                let made = advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
                if after_switch && made.phase == optim::Phase::FirstOrder {
                    before = meter.counts().evaluations();
                }
                if problem.measure()?.loss <= target {
                    break;
                }
            }
            runs.push((meter.counts().evaluations() - before).max(1) as f64);
        }
        sizes.push(1.0 / target);
        costs.push(runs);
    }
    Ok(exponent(&sizes, &costs, &Bootstrap::default())?)
}

/// Final losses of a label's runs on each problem that both methods have; what did not complete is infinite.
fn losses(results: &Results, problem: &str, optimizer: &str) -> Vec<f64> {
    let runs = results.runs(problem, optimizer);
    runs.map(RunRecord::final_loss).collect()
}

/// The least median evaluations to the target among a method's trials, by problem.
fn best_costs(results: &Results, method: &str) -> BTreeMap<String, f64> {
    let mut best = BTreeMap::new();
    for problem in &results.problems {
        let Some(target) = problem.target else {
            continue;
        };
        for optimizer in &results.optimizers {
            let costs: Vec<f64> = results
                .runs(&problem.label, &optimizer.label)
                .map(|run| run.cost_to(target))
                .collect();
            if optimizer.method() == method && !costs.is_empty() {
                let cost = median(&costs);
                let known = best.entry(problem.label.clone()).or_insert(f64::INFINITY);
                *known = known.min(cost);
            }
        }
    }
    best
}

fn wins(results: &Results, method: &str, other: &str) -> Result<Measured> {
    let (mine, theirs) = (best_costs(results, method), best_costs(results, other));
    let decided: Vec<bool> = mine
        .iter()
        .filter_map(|(problem, cost)| Some((*cost, *theirs.get(problem)?)))
        .filter(|(mine, theirs)| mine.is_finite() || theirs.is_finite())
        .map(|(mine, theirs)| mine < theirs)
        .collect();
    if decided.is_empty() {
        return Ok(Measured::Nothing(format!(
            "neither {method} nor {other} reaches a target in `{}`",
            results.suite
        )));
    }
    let won = decided.iter().filter(|won| **won).count();
    Ok(Measured::Estimated(wilson(
        won as u64,
        decided.len() as u64,
        0.95,
    )?))
}

fn lower_loss(results: &Results, method: &str, other: &str) -> Result<Measured> {
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for problem in &results.problems {
        let sides = [method, other].map(|label| losses(results, &problem.label, label));
        let [first, second] = sides;
        if !first.is_empty() && !second.is_empty() {
            mine.push(first);
            theirs.push(second);
        }
    }
    Ok(Measured::Estimated(probability_of_improvement_interval(
        &mine,
        &theirs,
        &Bootstrap::default(),
    )?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use optim::{AdamConfig, SgdConfig};

    use super::super::{Claims, Verdict};
    use super::*;

    fn claim(id: &str) -> Claim {
        let claims = Claims::built_in().unwrap();
        claims.select(&[id.into()]).unwrap()[0].clone()
    }

    #[test]
    fn an_extra_factor_of_the_dimension_is_found() {
        let adam = OptimizerConfig::Adam(AdamConfig::default());
        let gate = claim("adam-step-cost");
        let right = elements_exponent(&adam, |cost, _| cost).unwrap();
        assert_eq!(gate.judge(&Measured::Exact(right)), Verdict::Reproduced);
        let wrong = elements_exponent(&adam, |cost, d| cost * d).unwrap();
        assert_eq!(gate.judge(&Measured::Exact(wrong)), Verdict::NotReproduced);
        // Miscounted by one in a thousand, the count is no longer the recorded one.
        assert!(gate.moved(&Measured::Exact(right * 1.001)).is_some());
    }

    #[test]
    fn an_extra_factor_of_the_history_is_found() {
        let gate = claim("lbfgs-passes-per-pair");
        let (right, _) = per_pair(|passes, _| passes).unwrap();
        assert_eq!(
            gate.judge(&Measured::Exact(right)),
            Verdict::Reproduced,
            "{right}"
        );
        let (wrong, _) = per_pair(|passes, pairs| passes * pairs).unwrap();
        assert_eq!(gate.judge(&Measured::Exact(wrong)), Verdict::NotReproduced);
    }

    #[test]
    fn pairs_spoiled_by_noise_break_linear_convergence() {
        let gate = claim("lbfgs-linear-rate");
        let right = log_linearity(&[10.0, 100.0], 0.0).unwrap();
        assert_eq!(gate.judge(&Measured::Estimated(right)), Verdict::Reproduced);
        let wrong = log_linearity(&[10.0, 100.0], 0.5).unwrap();
        assert_eq!(
            gate.judge(&Measured::Estimated(wrong)),
            Verdict::NotReproduced
        );
    }

    #[test]
    fn a_rate_that_does_not_shrink_with_the_target_changes_the_exponent() {
        let gate = claim("sgd-strongly-convex");
        let sgd = OptimizerConfig::Sgd(SgdConfig::default());
        // Without noise a fixed rate converges linearly: hardly any more evaluations for half the target.
        let wrong = OptimizerConfig::Sgd(SgdConfig {
            learning_rate: 0.1,
            ..SgdConfig::default()
        });
        let estimate = evaluations_exponent(&wrong, None, 0.0, 1e-2, false).unwrap();
        assert_eq!(
            gate.judge(&Measured::Estimated(estimate)),
            Verdict::NotReproduced
        );
        let Evidence::EvaluationsExponent {
            rate_per_target,
            noise,
            first_target,
            ..
        } = gate.evidence
        else {
            panic!("{gate:?}");
        };
        let estimate =
            evaluations_exponent(&sgd, rate_per_target, noise, first_target, false).unwrap();
        assert_eq!(
            gate.judge(&Measured::Estimated(estimate)),
            Verdict::Reproduced,
            "{estimate:?}"
        );
    }

    #[test]
    fn fuse_differs_from_its_limits_where_theta_is_neither() {
        assert_eq!(differing_bits(1).unwrap(), 0.0);
        assert_eq!(differing_bits(0).unwrap(), 0.0);
    }
}
