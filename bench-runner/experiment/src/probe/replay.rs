//! A run made again for what it passes through.

use optim::{Meter, Step, StopReason};

use crate::error::Result;
use crate::problem::{Environment, Problem};
use crate::run::{advance, start};
use crate::spec::{OptimizerEntry, ProblemEntry};

/// Makes the run of `seed` again, measuring nothing, and shows `see` the problem before the first and,
/// with what was done, after each step; returns the problem at the run's result, which of a method that
/// averages is the average.
pub(super) fn replay(
    entry: &ProblemEntry,
    optimizer: &OptimizerEntry,
    seed: u64,
    environment: &Environment,
    see: &mut dyn FnMut(&dyn Problem, Option<&Step>) -> Result<()>,
) -> Result<Box<dyn Problem>> {
    let (mut problem, mut optimizer) = start(entry, optimizer, seed, environment)?;
    let mut meter = Meter::with_budget(entry.budget);
    let limit = entry
        .step_limit(problem.steps_per_epoch())
        .unwrap_or(u64::MAX);
    see(problem.as_ref(), None)?;
    let mut next = 0;
    while next < limit && meter.remaining() > 0 {
        let first = next;
        let (made, batches) = advance(problem.as_mut(), optimizer.as_mut(), first, &mut meter)?;
        next = batches.end;
        problem.observe(first, &made);
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
    if let Some(result) = optimizer.evaluation_parameters()? {
        optimizer.parameters().restore(&result)?;
    }
    Ok(problem)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use bench_data::{Library, Silent};
    use candle_core::Device;

    use super::*;
    use crate::run::{plan, run};
    use crate::spec::Experiment;

    #[test]
    fn a_replay_ends_at_the_average_where_the_run_was_measured() {
        let text = "name = 'average'\nseeds = 1\n\
            problem = [{ label = 'booth', kind = 'function', function = 'booth', budget = 60 }]\n\
            optimizer = [{ kind = 'schedule-free-adamw', learning_rate = 0.5 }]\n";
        let experiment = Experiment::parse(text, Path::new("average.toml")).unwrap();
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let cell = plan(&experiment)[0];
        let (problem, optimizer) = (cell.problem, cell.optimizer);
        let stop = AtomicBool::new(false);
        let see = &mut |_: crate::run::Event<'_>| ();
        let record = run(
            problem,
            optimizer,
            cell.seed,
            &environment,
            None,
            &stop,
            see,
        );
        let see = &mut |_: &dyn Problem, _: Option<&Step>| Ok(());
        let mut replayed = replay(problem, optimizer, cell.seed, &environment, see).unwrap();
        let measured = replayed.measure().unwrap().loss;
        assert_eq!(Some(measured), record.last().map(|last| last.loss));
    }
}
