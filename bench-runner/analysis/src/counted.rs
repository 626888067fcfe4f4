//! Which runs count, and what stands for those that have no value of their own. Every table, figure and
//! claim asks here.
//!
//! Interrupted runs do not count: nobody knows what they would have come to. Runs that diverged or failed
//! count as worse than every other, and so does a value that is not a number.

use std::collections::BTreeMap;

use bench_experiment::run::{Outcome, RunRecord};
use bench_experiment::store::{ProblemInfo, Results};

use crate::quantity::Quantity;

/// The runs of an optimizer on a problem that count, in order of seeds.
pub fn runs<'a>(
    results: &'a Results,
    problem: &'a str,
    optimizer: &'a str,
) -> impl Iterator<Item = &'a RunRecord> {
    results
        .runs(problem, optimizer)
        .filter(|run| run.outcome != Outcome::Interrupted)
}

/// The last measured value of a quantity in a run that counts; `None` where it is not measured.
pub fn last(run: &RunRecord, quantity: Quantity) -> Option<f64> {
    match run.outcome {
        Outcome::Diverged { .. } | Outcome::Failed { .. } => Some(quantity.worst()),
        Outcome::Completed { .. } | Outcome::Interrupted => {
            let value = quantity.of(run.last()?)?;
            Some(if value.is_nan() {
                quantity.worst()
            } else {
                value
            })
        }
    }
}

/// Whether a run diverged: its loss stopped being finite, or ended above where it began.
pub fn is_diverged(run: &RunRecord) -> bool {
    match (&run.outcome, run.curve.first(), run.last()) {
        (Outcome::Diverged { .. }, ..) => true,
        (Outcome::Completed { .. }, Some(first), Some(last)) => last.loss > first.loss,
        _ => false,
    }
}

/// The last measured losses of an optimizer on a problem.
pub fn losses(results: &Results, problem: &str, optimizer: &str) -> Vec<f64> {
    runs(results, problem, optimizer).map(final_loss).collect()
}

/// The last measured loss of a run that counts; infinite where none was measured.
pub fn final_loss(run: &RunRecord) -> f64 {
    last(run, Quantity::Loss).unwrap_or(f64::INFINITY)
}

/// The last measured losses of an optimizer on a problem, by seed.
pub fn losses_by_seed(results: &Results, problem: &str, optimizer: &str) -> BTreeMap<u64, f64> {
    last_by_seed(results, problem, optimizer, Quantity::Loss)
}

/// The last measured values of a quantity in the runs of an optimizer on a problem, by seed.
pub fn last_by_seed(
    results: &Results,
    problem: &str,
    optimizer: &str,
    quantity: Quantity,
) -> BTreeMap<u64, f64> {
    runs(results, problem, optimizer)
        .filter_map(|run| Some((run.cell.seed, last(run, quantity)?)))
        .collect()
}

/// The gradient evaluations until each run first measured the target; infinite where it never did.
pub fn costs(results: &Results, problem: &str, optimizer: &str, target: f64) -> Vec<f64> {
    runs(results, problem, optimizer)
        .map(|run| run.cost_to(target))
        .collect()
}

/// The problems that have a target, and their targets.
pub fn with_targets(results: &Results) -> Vec<(&ProblemInfo, f64)> {
    let problems = results.problems.iter();
    problems
        .filter_map(|problem| Some((problem, problem.target?)))
        .collect()
}

/// Whether any run on a problem measured a quantity.
pub fn is_measured(results: &Results, problem: &str, quantity: Quantity) -> bool {
    results
        .runs_on(problem)
        .any(|run| run.curve.iter().any(|point| quantity.of(point).is_some()))
}
