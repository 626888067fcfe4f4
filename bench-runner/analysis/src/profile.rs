//! Costs to the target over several problems.

use bench_experiment::store::Results;
use bench_stats::{Ecdf, median_or_infinite, performance_profiles};

use crate::counted;
use crate::ladder::{self, ladder};

/// A target met at the start would make every ratio to its cost infinite.
const LEAST: f64 = 1.0;

/// For each optimizer the evaluations of all its runs to all targets of the [`ladder`](fn@ladder), over all problems: what a
/// run-time distribution is made of (Hansen et al. 2021).
pub fn costs_over_ladders(results: &Results) -> Vec<Vec<f64>> {
    let ladders: Vec<_> = results
        .problems
        .iter()
        .filter_map(|problem| Some((problem, ladder(results, &problem.label)?)))
        .collect();
    results
        .optimizers
        .iter()
        .map(|optimizer| {
            let of_problem = ladders.iter().flat_map(|(problem, targets)| {
                let runs = ladder::costs(results, &problem.label, &optimizer.label, targets);
                runs.into_iter().flat_map(|(_, costs)| costs)
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
