//! What some figures need beside runs: the path of the iterates, the loss around a trained network,
//! and the counted cost of a step. It trains and evaluates, and knows nothing of drawing.

mod cost;
mod landscape;
mod path;

pub use cost::{StepCost, step_cost, step_cost_on};
pub use landscape::{Landscape, landscape};
pub use path::{Path, path};

use crate::Result;
use crate::problem::{Environment, Problem};
use crate::run::{CellId, advance};
use crate::spec::{OptimizerEntry, ProblemEntry};
use optim::{Meter, Step, StopReason};

/// Makes the run of `seed` again, measuring nothing, and shows `see` the problem before the first and,
/// with what was done, after each step; returns the problem as the run leaves it.
fn replay(
    entry: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
    see: &mut dyn FnMut(&dyn Problem, Option<&Step>) -> Result<()>,
) -> Result<Box<dyn Problem>> {
    let cell = CellId::new(entry, optimizer, seed);
    let mut problem = entry.config.build(&cell, environment)?;
    let mut optimizer = optimizer.config.build(problem.parameters())?;
    let mut meter = Meter::with_budget(entry.budget);
    let steps = entry
        .epochs
        .map_or(u64::MAX, |epochs| epochs * problem.steps_per_epoch());
    see(problem.as_ref(), None)?;
    for step in 0..steps {
        if meter.remaining() == 0 {
            break;
        }
        let made = advance(problem.as_mut(), optimizer.as_mut(), step, &mut meter)?;
        problem.observe(step, &made);
        see(problem.as_ref(), Some(&made))?;
        let converged = matches!(
            made.stop,
            StopReason::GradientTolerance | StopReason::ChangeTolerance
        );
        let lost = !made.final_loss.unwrap_or(made.loss).is_finite();
        if lost || (converged && problem.is_deterministic()) {
            break;
        }
    }
    Ok(problem)
}
