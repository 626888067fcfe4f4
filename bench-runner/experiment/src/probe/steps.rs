//! What single steps show: counts, the same in every run.

use std::collections::VecDeque;
use std::ops::Range;

use candle_core::{DType, Tensor};
use optim::{
    AdamConfig, Criterion, FuseConfig, FusePvConfig, LbfgsConfig, LineSearch, Meter, PairSource,
    Phase, Step, Theta,
};

use super::build::{Build, SEEDS, problem, quadratic};
use super::cost::{StepCost, step_cost_on};
use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
use crate::problem::{FunctionProblem, Problem};
use crate::run::advance;
use crate::settings::Invalid;

/// Dimensions in geometric progression.
const DIMENSIONS: [usize; 6] = [16, 32, 64, 128, 256, 512];
/// Numbers of pairs between which the cost of a pair is told.
const PAIRS: [usize; 2] = [5, 15];

/// What a step costs on an ill-conditioned quadratic without noise, on which no pair of L-BFGS is refused.
pub(super) fn counted(
    optimizer: &OptimizerConfig,
    build: Build<'_>,
    dimension: usize,
    steps: Range<u64>,
) -> Result<StepCost> {
    let build = |parameters: &_| build(optimizer, parameters);
    step_cost_on(&quadratic(dimension, 1e4, 0.0), &build, steps)
}

/// What a step of an optimizer costs, whatever the dimension.
pub(super) fn single(optimizer: &OptimizerConfig, build: Build<'_>) -> Result<StepCost> {
    counted(optimizer, build, DIMENSIONS[0], 8..16)
}

/// The elements that a step reads and writes, over dimensions in geometric progression.
pub(super) fn elements_per_step(
    optimizer: &OptimizerConfig,
    build: Build<'_>,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let sizes = DIMENSIONS.map(|dimension| dimension as f64);
    let elements = DIMENSIONS.iter().map(|&dimension| {
        Ok(counted(optimizer, build, dimension, 8..16)?.passes * dimension as f64)
    });
    Ok((sizes.to_vec(), elements.collect::<Result<_>>()?))
}

/// What one more pair in a full memory costs, in passes per step and in vectors held.
pub(super) fn per_pair(build: Build<'_>) -> Result<(f64, f64)> {
    let mut costs = Vec::new();
    for history_size in PAIRS {
        let config = OptimizerConfig::from(unsearched(history_size));
        costs.push(counted(&config, build, 200, 30..50)?);
    }
    let more = (PAIRS[1] - PAIRS[0]) as f64;
    Ok((
        without_rounding((costs[1].passes - costs[0].passes) / more),
        without_rounding((costs[1].state - costs[0].state) / more),
    ))
}

/// L-BFGS with one iteration and one evaluation a step, and the step length 1.
fn unsearched(history_size: usize) -> LbfgsConfig {
    LbfgsConfig {
        history_size,
        max_iter: 1,
        line_search: LineSearch::Fixed,
        pairs: PairSource::Carried,
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..LbfgsConfig::default()
    }
}

/// A number that follows from counts: what the arithmetic on them rounds is no part of it.
fn without_rounding(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// Parameters that differ between FUSE and its limit, over all steps.
pub(super) fn differing_bits(theta: u8, build: Build<'_>) -> Result<f64> {
    let fuse = OptimizerConfig::from(FuseConfig {
        theta: Theta::Constant(f64::from(theta)),
        ..FuseConfig::default()
    });
    let limit = match theta {
        1 => OptimizerConfig::from(AdamConfig::default()),
        _ => OptimizerConfig::from(LbfgsConfig::default()),
    };
    let mut differing = 0;
    for seed in 0..SEEDS {
        let mut runs = Vec::new();
        for config in [&fuse, &limit] {
            let mut problem = problem(100.0, 0.1, seed)?;
            let mut optimizer = build(config, problem.parameters())?;
            let mut meter = Meter::new();
            let mut values = Vec::new();
            for step in 0..60 {
                advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
                values.extend(position(&problem)?);
            }
            runs.push(values);
        }
        let pairs = runs[0].iter().zip(&runs[1]);
        differing += pairs.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    }
    Ok(differing as f64)
}

fn position(problem: &FunctionProblem) -> Result<Vec<f64>> {
    values(&problem.parameters().snapshot()?)
}

/// The elements of all tensors, in their order.
fn values(tensors: &[Tensor]) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for tensor in tensors {
        let tensor = tensor.flatten_all()?.to_dtype(DType::F64)?;
        values.extend(tensor.to_vec1::<f64>()?);
    }
    Ok(values)
}

/// Where a problem without noise stands, and its gradient there.
fn state(problem: &mut FunctionProblem) -> Result<(Vec<f64>, Vec<f64>)> {
    let gradient = problem.objective(0)?.loss_and_gradient()?.1;
    Ok((position(problem)?, values(gradient.tensors())?))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// −Hg with H from the BFGS formula (Nocedal and Wright 2006, eq. 6.17), applied to γI for each pair (s, y),
/// oldest first, γ = sᵀy/yᵀy of the newest (eq. 7.20): H ← (I − ρsyᵀ)H(I − ρysᵀ) + ρssᵀ, ρ = 1/yᵀs. The matrix is
/// written out, so that nothing is shared with the recursion that avoids it.
fn quasi_newton(pairs: &VecDeque<(Vec<f64>, Vec<f64>)>, gradient: &[f64]) -> Vec<f64> {
    let d = gradient.len();
    let gamma = pairs.back().map_or(1.0, |(s, y)| dot(s, y) / dot(y, y));
    let mut h = vec![vec![0.0; d]; d];
    for (i, row) in h.iter_mut().enumerate() {
        row[i] = gamma;
    }
    for (s, y) in pairs {
        let rho = 1.0 / dot(y, s);
        let hy: Vec<f64> = h.iter().map(|row| dot(row, y)).collect();
        let yhy = dot(y, &hy);
        for i in 0..d {
            for j in 0..d {
                h[i][j] += rho * ((1.0 + rho * yhy) * s[i] * s[j] - s[i] * hy[j] - hy[i] * s[j]);
            }
        }
    }
    h.iter().map(|row| -dot(row, gradient)).collect()
}

/// Steps of L-BFGS with 5 pairs that are not what the BFGS formula says, to one part in a million.
pub(super) fn off_the_formula(build: Build<'_>) -> Result<f64> {
    const HISTORY: usize = 5;
    const STEPS: u64 = 60;
    /// Below this gradient norm, rounding in the differences shows.
    const NEAR: f64 = 1e-5;
    let config = OptimizerConfig::from(unsearched(HISTORY));
    let mut off = 0;
    for seed in 0..SEEDS {
        let mut problem = problem(100.0, 0.0, seed)?;
        let mut optimizer = build(&config, problem.parameters())?;
        let mut meter = Meter::new();
        let mut pairs = VecDeque::new();
        let (mut x, mut gradient) = state(&mut problem)?;
        for step in 0..STEPS {
            if dot(&gradient, &gradient).sqrt() < NEAR {
                break;
            }
            let mut expected = quasi_newton(&pairs, &gradient);
            if pairs.is_empty() {
                // With no curvature to scale it, the first move is at most 1 long in the 1-norm.
                let length: f64 = gradient.iter().map(|g| g.abs()).sum();
                expected
                    .iter_mut()
                    .for_each(|e| *e *= length.recip().min(1.0));
            }
            advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
            let (next_x, next_gradient) = state(&mut problem)?;
            let moved = minus(&next_x, &x);
            let error = minus(&moved, &expected);
            // A move that is not finite is off, too.
            let right = dot(&error, &error).sqrt() <= 1e-6 * dot(&expected, &expected).sqrt();
            off += u32::from(!right);
            pairs.push_back((moved, minus(&next_gradient, &gradient)));
            if pairs.len() > HISTORY {
                pairs.pop_front();
            }
            (x, gradient) = (next_x, next_gradient);
        }
    }
    Ok(f64::from(off))
}

/// Whether a criterion holds after some steps, by its definition; `None` for a kind that is not checked.
fn holds(criterion: &Criterion, seen: &[Step], steps_per_epoch: u64) -> Option<bool> {
    let steps = seen.len() as u64;
    let loss = |step: &Step| step.final_loss.unwrap_or(step.loss);
    Some(match criterion {
        Criterion::Epoch(epoch) => steps >= epoch * steps_per_epoch,
        Criterion::Step(step) => steps >= *step,
        Criterion::GradNorm {
            threshold,
            relative,
        } => seen.last().is_some_and(|last| {
            let scale = if *relative {
                seen[0].gradient_norm
            } else {
                1.0
            };
            last.gradient_norm <= threshold * scale
        }),
        Criterion::LossLevel { threshold } => {
            seen.last().is_some_and(|last| loss(last) < *threshold)
        }
        Criterion::LossDecrease {
            window,
            min_relative_decrease,
        } => {
            let mut sums = seen.rchunks_exact(*window).map(|steps| {
                let losses: Vec<f64> = steps.iter().map(loss).collect();
                losses.iter().sum::<f64>() / *window as f64
            });
            match (sums.next(), sums.next()) {
                (Some(later), Some(earlier)) => {
                    (earlier - later) / earlier.abs() < *min_relative_decrease
                }
                _ => false,
            }
        }
        _ => return None,
    })
}

/// Whether [`misjudged`] knows a criterion's definition.
pub(super) fn is_defined(criterion: &Criterion) -> bool {
    holds(criterion, &[], 1).is_some()
}

/// Steps of FUSE-PV whose phase is not the one that the criterion's definition gives, on noisy quadratics.
pub(super) fn misjudged(criteria: &[Criterion], build: Build<'_>) -> Result<f64> {
    const STEPS: u64 = 150;
    let mut wrong = 0;
    for criterion in criteria {
        let config = OptimizerConfig::from(FusePvConfig {
            criterion: criterion.clone(),
            adam: AdamConfig {
                learning_rate: 0.03,
                ..AdamConfig::default()
            },
            lbfgs: LbfgsConfig {
                max_iter: 1,
                ..LbfgsConfig::default()
            },
            ..FusePvConfig::default()
        });
        for seed in 0..SEEDS {
            let mut problem = problem(100.0, 0.1, seed)?;
            let mut optimizer = build(&config, problem.parameters())?;
            let mut meter = Meter::new();
            let (mut seen, mut right) = (Vec::new(), Phase::FirstOrder);
            for step in 0..STEPS {
                let steps_per_epoch = problem.steps_per_epoch();
                if holds(criterion, &seen, steps_per_epoch) == Some(true) {
                    right = Phase::SecondOrder;
                }
                let (made, _) = advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
                wrong += u32::from(made.phase != right);
                seen.push(made);
            }
            if right == Phase::FirstOrder {
                return Err(Error::Setting(Invalid::new(
                    "criteria",
                    format!(
                        "{criterion} does not hold within {STEPS} steps of seed {seed}, so that nothing is shown; \
                         choose another threshold"
                    ),
                )));
            }
        }
    }
    Ok(f64::from(wrong))
}
