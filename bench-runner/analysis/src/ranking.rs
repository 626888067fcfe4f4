//! Which method is ahead, and where: ranks over noise and condition, and under each fault.

use std::cmp::Ordering;

use bench_experiment::problem::{ClassificationConfig, Fault};
use bench_experiment::store::{OptimizerInfo, ProblemInfo, Results};
use bench_stats::{average_ranks, median};

use crate::counted;
use crate::pairs::methods;

/// What a set of runs is ranked by: median evaluations to the target, then median final loss.
type Standing = (f64, f64);

/// The ranks of a method over gradient noise and condition number, for one dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct RankMap {
    /// The number of variables.
    pub dimension: f64,
    /// `ranks[i][j]` is the rank under noise i and condition number j; `None` without runs there.
    pub ranks: Vec<Vec<Option<f64>>>,
}

/// The ranks of a method over gradient noise, condition number and dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct RankMaps {
    /// The sizes of the gradient noise, ascending.
    pub noises: Vec<f64>,
    /// The condition numbers, ascending.
    pub conditions: Vec<f64>,
    /// How many methods are ranked.
    pub methods: usize,
    /// One map for each dimension, ascending.
    pub maps: Vec<RankMap>,
}

/// The rank of `method` on problems whose settings have a gradient noise and a condition number. A method is
/// all optimizers whose labels differ by a grid of settings only; each is represented by its best trial.
/// `None` when there are no such problems, or no such method.
pub fn rank_maps(results: &Results, method: &str) -> Option<RankMaps> {
    let number = |problem: &ProblemInfo, key| problem.config.setting(key)?.as_f64();
    let placed: Vec<(&ProblemInfo, f64, f64, f64)> = results
        .problems
        .iter()
        .filter_map(|problem| {
            let (noise, condition) = (number(problem, "noise")?, number(problem, "condition")?);
            Some((problem, noise, condition, problem.dimension as f64))
        })
        .collect();
    let methods = methods(results);
    if placed.is_empty() || !methods.iter().any(|(name, _)| name == method) {
        return None;
    }
    let distinct = |value: &dyn Fn(&(&ProblemInfo, f64, f64, f64)) -> f64| {
        let mut values: Vec<f64> = placed.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    };
    let (noises, conditions) = (distinct(&|p| p.1), distinct(&|p| p.2));
    let rank = |noise, condition, dimension| {
        let mut found = placed.iter();
        let found = found.find(|p| (p.1, p.2, p.3) == (noise, condition, dimension))?;
        rank_of(results, found.0, &methods, method)
    };
    let map = |dimension: f64| RankMap {
        dimension,
        ranks: noises
            .iter()
            .map(|&noise| {
                let row = conditions.iter();
                row.map(|&condition| rank(noise, condition, dimension))
                    .collect()
            })
            .collect(),
    };
    Some(RankMaps {
        methods: methods.len(),
        maps: distinct(&|p| p.3).into_iter().map(map).collect(),
        noises,
        conditions,
    })
}

fn rank_of(
    results: &Results,
    problem: &ProblemInfo,
    methods: &[(String, Vec<&OptimizerInfo>)],
    method: &str,
) -> Option<f64> {
    let best: Vec<(&str, Standing)> = methods
        .iter()
        .filter_map(|(name, trials)| {
            let standings = trials
                .iter()
                .filter_map(|trial| standing(results, problem, &trial.label));
            Some((name.as_str(), standings.min_by(order)?))
        })
        .collect();
    let own = best.iter().find(|(name, _)| *name == method)?.1;
    let better = best
        .iter()
        .filter(|(_, other)| order(other, &own).is_lt())
        .count();
    let equal = best
        .iter()
        .filter(|(_, other)| order(other, &own).is_eq())
        .count();
    Some(better as f64 + 0.5 * (equal + 1) as f64)
}

fn order(a: &Standing, b: &Standing) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

fn standing(results: &Results, problem: &ProblemInfo, optimizer: &str) -> Option<Standing> {
    let losses = counted::losses(results, &problem.label, optimizer);
    // Without a target nobody reaches it.
    let target = problem.target.unwrap_or(f64::NEG_INFINITY);
    let costs = counted::costs(results, &problem.label, optimizer, target);
    (!losses.is_empty()).then(|| (median(&costs), median(&losses)))
}

/// The ranks of all optimizers on a problem by their median final loss; 1 is best, and equal losses share the
/// mean of their ranks.
pub fn ranks_by_loss(results: &Results, problem: &ProblemInfo) -> Vec<f64> {
    let loss = |optimizer: &OptimizerInfo| {
        standing(results, problem, &optimizer.label).map_or(f64::INFINITY, |(_, loss)| loss)
    };
    let losses: Vec<f64> = results.optimizers.iter().map(loss).collect();
    average_ranks(&losses)
}

/// Classification problems that differ by their faults only, by network; each with a name for its
/// faults, the one without any first. Networks that were not run with faults are left out.
pub fn by_network(results: &Results) -> Vec<(String, Vec<(String, &ProblemInfo)>)> {
    let mut groups: Vec<(String, Vec<(String, &ProblemInfo)>)> = Vec::new();
    for problem in &results.problems {
        let Some(config) = problem.config.downcast::<ClassificationConfig>() else {
            continue;
        };
        let network = problem.label.split('/').next().unwrap_or_default();
        let faults = match config.faults.as_slice() {
            [] => "none".to_owned(),
            [fault] => fault.to_string(),
            several => {
                let names: Vec<String> = several.iter().map(Fault::to_string).collect();
                match (names.first(), names.last()) {
                    (Some(first), Some(last)) => format!("{first}–{last}"),
                    _ => String::new(),
                }
            }
        };
        match groups.iter_mut().find(|(known, _)| known == network) {
            Some((_, problems)) => problems.push((faults, problem)),
            None => groups.push((network.to_owned(), vec![(faults, problem)])),
        }
    }
    groups.retain(|(_, problems)| problems.len() > 1 && problems[0].0 == "none");
    groups
}
