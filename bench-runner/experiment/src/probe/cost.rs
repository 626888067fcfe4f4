//! The cost of an optimizer's step, counted: passes over vectors, evaluations, elements held.

use std::ops::Range;

use candle_core::Device;
use optim::{Meter, Optimizer, Parameters, VectorPasses};

use super::build::Build;
use crate::error::Result;
use crate::optimizer::OptimizerConfig;
use crate::problem::{Draw, Environment, Problem, QuadraticConfig};
use crate::run::advance;
use crate::spec::ProblemEntry;

/// What one step costs, as the mean over the counted steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepCost {
    /// Passes over vectors of the parameters' dimension, read or written; evaluations not included.
    pub passes: f64,
    /// Evaluations of the objective.
    pub evaluations: f64,
    /// Elements of optimizer state held at the end, as multiples of the dimension.
    pub state: f64,
    /// The same after each step, as the mean over the counted steps.
    pub mean_state: f64,
}

/// Steps after which an L-BFGS memory of up to 100 pairs is full, whatever the steps' length.
const WARM_UP: u64 = 120;
/// Steps that are counted.
const COUNTED: u64 = 40;

/// Counts steps of an optimizer on a noisy quadratic of `dimension` variables (condition number 100,
/// gradient noise 0.1, so that no tolerance ends the run), once its memory is full.
///
/// # Errors
/// When the optimizer refuses its settings, or a step fails.
pub fn step_cost(optimizer: &OptimizerConfig, dimension: usize) -> Result<StepCost> {
    let config = QuadraticConfig {
        dimension,
        condition: 100.0,
        noise: 0.1,
        steps_per_epoch: 10,
    };
    let build = |parameters: &Parameters| optimizer.build(parameters);
    step_cost_on(&config, &build, WARM_UP..WARM_UP + COUNTED)
}

/// Counts the given steps, on a quadratic from the start of seed 0, of the optimizer that `build` makes.
///
/// # Errors
/// As [`step_cost`].
pub fn step_cost_on(
    config: &QuadraticConfig,
    build: &dyn Fn(&Parameters) -> optim::Result<Box<dyn Optimizer>>,
    steps: Range<u64>,
) -> Result<StepCost> {
    let mut problem = config.problem(0, &Device::Cpu)?;
    let mut optimizer = build(problem.parameters())?;
    count(&mut problem, optimizer.as_mut(), steps)
}

/// Counts the given steps, of those that an optimizer makes on a problem from its start on.
pub(super) fn count(
    problem: &mut dyn Problem,
    optimizer: &mut dyn Optimizer,
    steps: Range<u64>,
) -> Result<StepCost> {
    let dimension = problem.parameters().element_count() as f64;
    let counted = (steps.end - steps.start) as f64;
    let mut meter = Meter::new();
    let total = |passes: VectorPasses| (passes.reads + passes.writes) as f64;
    let mut before = (0.0, 0);
    let mut held = 0.0;
    for step in 0..steps.end {
        if step == steps.start {
            before = (
                total(optimizer.vector_passes()),
                meter.counts().evaluations(),
            );
        }
        advance(problem, optimizer, step, &mut meter)?;
        if step >= steps.start {
            held += optimizer.state_elements() as f64;
        }
    }
    let evaluations = meter.counts().evaluations() - before.1;
    Ok(StepCost {
        passes: (total(optimizer.vector_passes()) - before.0) / counted,
        evaluations: evaluations as f64 / counted,
        state: optimizer.state_elements() as f64 / dimension,
        mean_state: held / dimension / counted,
    })
}

/// What a step costs, as the mean over a whole run of seed 0 on a suite's problem, from its first step to its last.
///
/// With `max_iter = 1` a step of L-BFGS is one of its iterations, as a step of Adam is.
pub(super) fn over_run(
    entry: &ProblemEntry,
    steps: u64,
    optimizer: &OptimizerConfig,
    environment: &Environment,
    build: Build<'_>,
) -> Result<StepCost> {
    let draw = Draw {
        seed: 0,
        optimizer: optimizer.kind(),
    };
    let mut problem = entry.config.build(draw, environment)?;
    let mut optimizer = build(optimizer, problem.parameters())?;
    count(problem.as_mut(), optimizer.as_mut(), 0..steps)
}

impl StepCost {
    /// Each cost as a multiple of the other's, with its name.
    pub(super) fn ratios(&self, other: &Self) -> Vec<(&'static str, f64)> {
        vec![
            ("evaluations", self.evaluations / other.evaluations),
            ("elements read and written", self.passes / other.passes),
            ("elements held", self.mean_state / other.mean_state),
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use bench_data::{Library, Silent};
    use optim::{AdamConfig, LbfgsConfig, SgdConfig};

    use super::*;
    use crate::spec::Suite;

    #[test]
    fn first_order_steps_cost_one_evaluation_and_hold_their_moments() {
        let sgd = step_cost(&SgdConfig::default().into(), 30).unwrap();
        assert_eq!((sgd.evaluations, sgd.state), (1.0, 0.0));
        let adam = step_cost(&AdamConfig::default().into(), 30).unwrap();
        // m and v (Kingma and Ba 2015, algorithm 1).
        assert_eq!((adam.evaluations, adam.state), (1.0, 2.0));
    }

    #[test]
    fn a_step_of_lbfgs_costs_four_passes_more_for_each_pair_it_holds() {
        // The two-loop recursion takes 4md multiplications (Nocedal and Wright 2006, section 7.2): two
        // passes over s and two over y.
        let passes = |history_size| {
            let config = LbfgsConfig {
                history_size,
                max_iter: 1,
                max_eval: Some(2),
                ..LbfgsConfig::default()
            };
            step_cost(&config.into(), 30).unwrap()
        };
        let (few, many) = (passes(5), passes(15));
        let slope = (many.passes - few.passes) / 10.0;
        assert!((slope - 4.0).abs() < 0.4, "{slope} passes per pair");
        let held = (many.state - few.state) / 10.0;
        assert!((held - 2.0).abs() < 1e-9, "{held} vectors per pair");
    }

    #[test]
    fn a_run_of_adam_has_known_costs() {
        let quick = Suite::find("quick").unwrap().experiment().unwrap();
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let cost = |problem, config: OptimizerConfig| {
            let entry = quick.problem(problem).unwrap();
            let build: Build<'_> = &|config, parameters| config.build(parameters);
            over_run(entry, 10, &config, &environment, build).unwrap()
        };
        for problem in ["noisy-quadratic", "mlp-digits"] {
            let adam = cost(problem, AdamConfig::default().into());
            assert_eq!((adam.evaluations, adam.mean_state), (1.0, 2.0));
            let ratios = adam.ratios(&adam);
            assert!(ratios.iter().all(|(_, ratio)| *ratio == 1.0), "{ratios:?}");
            // Of L-BFGS with m pairs a step needs 2 evaluations or more, and holds 2m vectors or more in the end.
            let lbfgs = LbfgsConfig {
                max_iter: 1,
                ..LbfgsConfig::default()
            };
            let ratios = adam.ratios(&cost(problem, lbfgs.into()));
            assert!(ratios.iter().all(|(_, ratio)| *ratio < 1.0), "{ratios:?}");
        }
    }
}
