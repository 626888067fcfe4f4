//! Costs to the target over several problems.

use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::{Ecdf, median_or_infinite, performance_profiles};

use crate::counted;
use crate::ladder::{self, ladder};
use crate::pairs::best_trial;

/// A target met at the start would make every ratio to its cost infinite.
const LEAST: f64 = 1.0;

/// What a run-time distribution over some problems is made of (Hansen et al. 2021).
#[derive(Debug, Clone)]
pub struct Distribution {
    /// How many problems.
    pub problems: usize,
    /// For each method the evaluations of its runs to all targets of the [`ladder`](fn@ladder), on each problem those of its
    /// [best trial](best_trial).
    pub costs: Vec<Vec<f64>>,
}

/// The run-time distributions of these methods over these problems.
pub fn distribution<'a>(
    results: &'a Results,
    methods: &[String],
    problems: impl Iterator<Item = &'a ProblemInfo>,
) -> Distribution {
    let mut distribution = Distribution {
        problems: 0,
        costs: vec![Vec::new(); methods.len()],
    };
    for problem in problems {
        let Some(targets) = ladder(results, &problem.label) else {
            continue;
        };
        distribution.problems += 1;
        for (method, costs) in methods.iter().zip(&mut distribution.costs) {
            let Some(trial) = best_trial(results, problem, method) else {
                continue;
            };
            let runs = ladder::costs(results, &problem.label, &trial, &targets);
            let of_runs = runs.into_iter().flat_map(|(_, costs)| costs);
            costs.extend(of_runs.map(|cost| cost.max(LEAST)));
        }
    }
    distribution
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
