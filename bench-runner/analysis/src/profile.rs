//! Costs to the target over several problems.

use bench_experiment::store::Results;
use bench_stats::{Ecdf, median_or_infinite, performance_profiles};

use crate::counted;

/// A target met at the start would make every ratio to its cost infinite.
const LEAST: f64 = 1.0;

/// For each optimizer the evaluations to the target of all its runs, over all problems with a target.
pub fn costs_over_problems(results: &Results) -> Vec<Vec<f64>> {
    let targets = counted::with_targets(results);
    results
        .optimizers
        .iter()
        .map(|optimizer| {
            let of_problem = targets.iter().flat_map(|(problem, target)| {
                counted::costs(results, &problem.label, &optimizer.label, *target)
            });
            of_problem.map(|cost| cost.max(LEAST)).collect()
        })
        .collect()
}

/// Performance profiles (Dolan and Moré 2002).
#[derive(Debug, Clone)]
pub struct Performance {
    /// How many problems have a target.
    pub problems: usize,
    /// For each optimizer its median cost to the target on each of them.
    pub costs: Vec<Vec<f64>>,
    /// For each optimizer the share of problems on which its cost is at most τ times the lowest.
    pub profiles: Vec<Ecdf>,
}

/// The performance profiles of all optimizers over the problems with a target; `None` with fewer than two of
/// them, or when no optimizer has runs.
pub fn performance(results: &Results) -> Option<Performance> {
    let problems = counted::with_targets(results);
    if problems.len() < 2 {
        return None;
    }
    let costs: Vec<Vec<f64>> = results
        .optimizers
        .iter()
        .map(|optimizer| {
            let of_problem = problems.iter().map(|(problem, target)| {
                let costs = counted::costs(results, &problem.label, &optimizer.label, *target);
                let costs: Vec<f64> = costs.into_iter().map(|cost| cost.max(LEAST)).collect();
                median_or_infinite(&costs)
            });
            of_problem.collect()
        })
        .collect();
    Some(Performance {
        problems: problems.len(),
        profiles: performance_profiles(&costs).ok()?,
        costs,
    })
}
