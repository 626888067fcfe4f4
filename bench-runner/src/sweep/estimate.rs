//! What a sweep will cost, from one timed evaluation of each problem.

use std::time::Instant;

use super::{Cell, dimension};
use crate::Result;
use crate::problem::Environment;
use crate::run::CellId;
use crate::spec::Experiment;

/// The expected cost of a sweep.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// Per problem, in the experiment's order.
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
    steps_per_epoch: u64,
    /// Seconds.
    evaluation: f64,
    /// Seconds.
    measurement: f64,
}

impl Estimate {
    /// Builds every problem once and times, for those that `cells` has, one evaluation (the second: the
    /// first fills caches) and one measurement; without `timed`, none. Building here also finds missing data and unfit
    /// models before the sweep begins.
    ///
    /// # Errors
    /// When a problem cannot be built or evaluated.
    pub fn new(
        experiment: &Experiment,
        cells: &[Cell<'_>],
        environment: &Environment,
        timed: bool,
    ) -> Result<Self> {
        let mut problems = Vec::new();
        for entry in &experiment.problems {
            let cell = CellId {
                problem: entry.label.clone(),
                optimizer: String::new(),
                seed: experiment.seeds[0],
            };
            let mut problem = entry.config.build(&cell, environment)?;
            let mut cost = ProblemCost {
                label: entry.label.clone(),
                dimension: dimension(problem.as_ref()),
                steps_per_epoch: problem.steps_per_epoch(),
                evaluation: 0.0,
                measurement: 0.0,
            };
            if timed && cells.iter().any(|cell| cell.problem.label == entry.label) {
                problem.objective(0)?.loss_and_gradient()?;
                let started = Instant::now();
                problem.objective(0)?.loss_and_gradient()?;
                cost.evaluation = started.elapsed().as_secs_f64();
                let started = Instant::now();
                problem.measure()?;
                cost.measurement = started.elapsed().as_secs_f64();
            }
            problems.push(cost);
        }
        let mut estimate = Self {
            problems,
            runs: cells.len(),
            evaluations: 0,
            seconds: 0.0,
        };
        estimate.evaluations = cells.iter().map(|cell| estimate.evaluations_of(cell)).sum();
        estimate.seconds = cells.iter().map(|cell| estimate.seconds_of(cell)).sum();
        Ok(estimate)
    }

    fn cost(&self, cell: &Cell<'_>) -> Option<&ProblemCost> {
        self.problems
            .iter()
            .find(|cost| cost.label == cell.problem.label)
    }

    /// Evaluations of a run, at most.
    pub fn evaluations_of(&self, cell: &Cell<'_>) -> u64 {
        let (budget, epochs) = (cell.problem.budget, cell.problem.epochs);
        match (epochs, self.cost(cell)) {
            (Some(epochs), Some(cost)) => budget
                .min(epochs * cost.steps_per_epoch * cell.optimizer.config.evaluations_per_step()),
            _ => budget,
        }
    }

    /// Seconds that a run is expected to take, if it makes all its evaluations.
    pub fn seconds_of(&self, cell: &Cell<'_>) -> f64 {
        self.cost(cell).map_or(0.0, |cost| {
            self.evaluations_of(cell) as f64 * cost.evaluation
                + (cell.problem.points + 1) as f64 * cost.measurement
        })
    }

    /// The number of parameters of each problem, in the experiment's order.
    pub fn dimensions(&self) -> Vec<u64> {
        self.problems.iter().map(|cost| cost.dimension).collect()
    }
}
