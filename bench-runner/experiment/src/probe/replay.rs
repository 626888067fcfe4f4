//! A run made again for what it passes through.

use optim::{Meter, Step, StopReason};

use crate::error::Result;
use crate::problem::{Environment, Problem};
use crate::run::{advance, start};
use crate::spec::{OptimizerEntry, ProblemEntry};

/// Makes the run of `seed` again, measuring nothing, and shows `see` the problem before the first and,
/// with what was done, after each step; returns the problem as the run leaves it.
pub(super) fn replay(
    entry: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
    see: &mut dyn FnMut(&dyn Problem, Option<&Step>) -> Result<()>,
) -> Result<Box<dyn Problem>> {
    let (mut problem, mut optimizer) = start(entry, optimizer, seed, environment)?;
    let mut meter = Meter::with_budget(entry.budget);
    let steps = entry
        .step_limit(problem.steps_per_epoch())
        .unwrap_or(u64::MAX);
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
