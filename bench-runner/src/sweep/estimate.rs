//! What a sweep will cost, from one timed evaluation of each problem.

use std::time::Instant;

use super::{Cell, dimension};
use crate::Result;
use crate::problem::Environment;
use crate::spec::Experiment;

/// The expected cost of a sweep.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// Per problem, in the experiment's order: label, parameters, seconds of an evaluation, seconds of
    /// a measurement.
    problems: Vec<ProblemCost>,
    /// Runs in all.
    pub runs: usize,
    /// Evaluations in all, if every run uses its budget.
    pub evaluations: u64,
    /// Seconds of all runs, one after the other.
    pub seconds: f64,
}

#[derive(Debug, Clone)]
struct ProblemCost {
    label: String,
    dimension: u64,
    evaluation: f64,
    measurement: f64,
}

impl Estimate {
    /// Builds every problem once and times one evaluation (the second: the first fills caches) and one
    /// measurement. Building here also finds missing data and unfit models before the sweep begins.
    ///
    /// # Errors
    /// When a problem cannot be built or evaluated.
    pub fn new(
        experiment: &Experiment,
        cells: &[Cell<'_>],
        environment: &Environment,
    ) -> Result<Self> {
        let mut problems = Vec::new();
        for entry in &experiment.problems {
            let mut problem = entry.config.build(experiment.seeds[0], environment)?;
            problem.objective(0)?.loss_and_gradient()?;
            let started = Instant::now();
            problem.objective(0)?.loss_and_gradient()?;
            let evaluation = started.elapsed().as_secs_f64();
            let started = Instant::now();
            problem.measure()?;
            problems.push(ProblemCost {
                label: entry.label.clone(),
                dimension: dimension(problem.as_ref()),
                evaluation,
                measurement: started.elapsed().as_secs_f64(),
            });
        }
        let mut estimate = Self {
            problems,
            runs: cells.len(),
            evaluations: cells.iter().map(|cell| cell.problem.budget).sum(),
            seconds: 0.0,
        };
        estimate.seconds = cells.iter().map(|cell| estimate.seconds_of(cell)).sum();
        Ok(estimate)
    }

    /// Seconds that a run is expected to take, if it uses its budget.
    pub fn seconds_of(&self, cell: &Cell<'_>) -> f64 {
        self.problems
            .iter()
            .find(|cost| cost.label == cell.problem.label)
            .map_or(0.0, |cost| {
                cell.problem.budget as f64 * cost.evaluation
                    + (cell.problem.points + 1) as f64 * cost.measurement
            })
    }

    /// The number of parameters of each problem, in the experiment's order.
    pub fn dimensions(&self) -> Vec<u64> {
        self.problems.iter().map(|cost| cost.dimension).collect()
    }
}
