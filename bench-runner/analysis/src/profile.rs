//! Costs to the target over several problems.

use bench_experiment::store::{OptimizerInfo, ProblemInfo, Results};
use bench_stats::{Ecdf, median_or_infinite, performance_profiles};

use crate::counted;
use crate::ladder::{self, ladder};
use crate::pairs::best_of;

/// A target met at the start would make every ratio to its cost infinite.
const LEAST: f64 = 1.0;

/// What a run-time distribution over some problems is made of (Hansen et al. 2021): for each problem, in order, and each
/// method the evaluations of the runs of its best trial ([`methods`](crate::pairs::methods)) to all targets of the
/// [`ladder`](fn@ladder). Problems without one are left out.
pub fn costs_over_ladders<'a>(
    results: &'a Results,
    methods: &[(String, Vec<&OptimizerInfo>)],
) -> Vec<(&'a ProblemInfo, Vec<Vec<f64>>)> {
    let of_problem = |problem: &'a ProblemInfo| {
        let targets = ladder(results, &problem.label)?;
        let costs = methods.iter().map(|(_, trials)| {
            let trial = best_of(results, problem, trials, &targets);
            let runs = trial.map(|trial| ladder::costs(results, &problem.label, trial, &targets));
            let costs = runs.into_iter().flatten().flat_map(|(_, costs)| costs);
            costs.map(|cost| cost.max(LEAST)).collect()
        });
        Some((problem, costs.collect()))
    };
    results.problems.iter().filter_map(of_problem).collect()
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
