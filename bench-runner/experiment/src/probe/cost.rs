//! The cost of an optimizer's step, counted: passes over vectors, evaluations, elements held.

use std::ops::Range;

use candle_core::Device;
use optim::{Meter, Optimizer, Parameters, VectorPasses};

use crate::error::Result;
use crate::optimizer::OptimizerConfig;
use crate::problem::{Problem, QuadraticConfig};
use crate::run::advance;

/// What one step costs, as the mean over the counted steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepCost {
    /// Passes over vectors of the parameters' dimension, read or written; evaluations not included.
    pub passes: f64,
    /// Evaluations of the objective.
    pub evaluations: f64,
    /// Elements of optimizer state held at the end, as multiples of the dimension.
    pub state: f64,
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
    let mut meter = Meter::new();
    let total = |passes: VectorPasses| (passes.reads + passes.writes) as f64;
    let mut before = (0.0, 0);
    for step in 0..steps.end {
        if step == steps.start {
            before = (
                total(optimizer.vector_passes()),
                meter.counts().evaluations(),
            );
        }
        advance(&mut problem, optimizer.as_mut(), step, &mut meter)?;
    }
    let counted = (steps.end - steps.start) as f64;
    let evaluations = meter.counts().evaluations() - before.1;
    Ok(StepCost {
        passes: (total(optimizer.vector_passes()) - before.0) / counted,
        evaluations: evaluations as f64 / counted,
        state: optimizer.state_elements() as f64 / config.dimension as f64,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use optim::{AdamConfig, LbfgsConfig, SgdConfig};

    use super::*;

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
}
