//! Which method is ahead, and where: ranks over noise and condition, and under each fault.

use super::chart::{Cell, Chart, Heat, Panel};
use super::scale::tick_label;
use crate::problem::{Fault, ProblemConfig};
use crate::run::RunRecord;
use crate::stats;
use crate::store::{OptimizerInfo, ProblemInfo, Results};

/// What a set of runs is ranked by: median evaluations to the target, then median final loss.
type Standing = (f64, f64);

/// The rank of `method` over gradient noise (rows) and condition number (columns), a panel for each
/// dimension, on quadratics. A method is all optimizers whose labels differ by a grid of settings only;
/// each is represented by its best trial. `None` when there are no quadratics, or no such method.
pub fn ranking_map(results: &Results, method: &str) -> Option<Chart> {
    let quadratics: Vec<(&ProblemInfo, f64, f64, u64)> = results
        .problems
        .iter()
        .filter_map(|problem| match &problem.config {
            ProblemConfig::Quadratic(config) => {
                Some((problem, config.noise, config.condition, problem.dimension))
            }
            _ => None,
        })
        .collect();
    let methods = methods(results);
    if quadratics.is_empty() || !methods.iter().any(|(name, _)| name == method) {
        return None;
    }
    let distinct = |value: &dyn Fn(&(&ProblemInfo, f64, f64, u64)) -> f64| {
        let mut values: Vec<f64> = quadratics.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    };
    let (noises, conditions) = (distinct(&|q| q.1), distinct(&|q| q.2));
    let dimensions = distinct(&|q| q.3 as f64);
    let mut counts = (0, 0);
    let panels = dimensions
        .iter()
        .map(|&dimension| {
            let cells = noises
                .iter()
                .map(|&noise| {
                    conditions
                        .iter()
                        .map(|&condition| {
                            let found = quadratics
                                .iter()
                                .find(|q| (q.1, q.2, q.3 as f64) == (noise, condition, dimension));
                            let rank = found.and_then(|q| rank_of(results, q.0, &methods, method));
                            counts.0 += usize::from(rank == Some(1.0));
                            counts.1 += usize::from(rank.is_some());
                            rank_cell(rank)
                        })
                        .collect()
                })
                .collect();
            Panel::Heat(Heat {
                title: format!("{dimension} dimensions"),
                x_label: "condition number κ".to_owned(),
                y_label: "noise σ".to_owned(),
                columns: names(&conditions),
                rows: names(&noises),
                cells,
                value_label: "rank".to_owned(),
                bounds: [1.0, methods.len().max(2) as f64],
            })
        })
        .collect();
    Some(Chart {
        name: "ranking-map".to_owned(),
        title: format!("Rank of {method} on quadratics"),
        caption: format!(
            "Rank of {method} among {} methods by the median number of gradient evaluations to the target; \
             where these are equal, as where none reaches it, by the median final loss. 1, the palest, is \
             best. Each method is represented by its best trial on each problem. σ is the size of the \
             gradient noise, κ the condition number.",
            methods.len()
        ),
        alt: format!(
            "Tables of ranks over noise and condition number. {method} is first in {} of {} cells.",
            counts.0, counts.1
        ),
        panels,
        size: None,
    })
}

/// The methods, each with the optimizers that are its trials, in order.
fn methods(results: &Results) -> Vec<(String, Vec<&OptimizerInfo>)> {
    let mut methods: Vec<(String, Vec<&OptimizerInfo>)> = Vec::new();
    for optimizer in &results.optimizers {
        let name = optimizer.method();
        match methods.iter_mut().find(|(known, _)| *known == name) {
            Some((_, trials)) => trials.push(optimizer),
            None => methods.push((name, vec![optimizer])),
        }
    }
    methods
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

fn order(a: &Standing, b: &Standing) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

fn standing(results: &Results, problem: &ProblemInfo, optimizer: &str) -> Option<Standing> {
    let runs: Vec<&RunRecord> = results.runs(&problem.label, optimizer).collect();
    let costs: Vec<f64> = runs
        .iter()
        .map(|run| {
            problem
                .target
                .map_or(f64::INFINITY, |target| run.cost_to(target))
        })
        .collect();
    let losses: Vec<f64> = runs.iter().map(|run| run.final_loss()).collect();
    (!runs.is_empty()).then(|| (stats::median(&costs), stats::median(&losses)))
}

/// The ranks of all optimizers by their median reported loss, without faults and under each set of
/// faults, a panel for each network. `None` when no problem has faults.
pub fn fault_ranks(results: &Results) -> Option<Chart> {
    let groups = by_network(results);
    if groups.is_empty() {
        return None;
    }
    let count = results.optimizers.len();
    let panels = groups
        .iter()
        .map(|(network, problems)| {
            let ranks: Vec<Vec<f64>> = problems
                .iter()
                .map(|(_, problem)| {
                    let losses: Vec<f64> = results
                        .optimizers
                        .iter()
                        .map(|optimizer| {
                            standing(results, problem, &optimizer.label)
                                .map_or(f64::INFINITY, |(_, loss)| loss)
                        })
                        .collect();
                    stats::average_ranks(&losses)
                })
                .collect();
            Panel::Heat(Heat {
                title: network.clone(),
                x_label: "faults on".to_owned(),
                y_label: "optimizer".to_owned(),
                columns: problems.iter().map(|(faults, _)| faults.clone()).collect(),
                rows: results.optimizers.iter().map(|o| o.label.clone()).collect(),
                cells: (0..count)
                    .map(|row| {
                        ranks
                            .iter()
                            .map(|ranks| rank_cell(Some(ranks[row])))
                            .collect()
                    })
                    .collect(),
                value_label: "rank".to_owned(),
                bounds: [1.0, count.max(2) as f64],
            })
        })
        .collect();
    Some(Chart {
        name: "fault-ranks".to_owned(),
        title: "Ranks under each fault of the authors' script".to_owned(),
        caption: "Rank by the median final loss as the script would report it, 1 is best, equal losses share \
                  the mean of their ranks; without faults, with one at a time, and with all of S3 to S8."
            .to_owned(),
        alt: format!(
            "Tables of the ranks of {count} optimizers under each fault, for {}.",
            groups.iter().map(|(network, _)| network.as_str()).collect::<Vec<_>>().join(" and ")
        ),
        panels,
        size: None,
    })
}

/// Classification problems that differ by their faults only, by network; each with a name for its
/// faults, the one without any first. Networks that were not run with faults are left out.
pub(super) fn by_network(results: &Results) -> Vec<(String, Vec<(String, &ProblemInfo)>)> {
    let mut groups: Vec<(String, Vec<(String, &ProblemInfo)>)> = Vec::new();
    for problem in &results.problems {
        let ProblemConfig::Classification(config) = &problem.config else {
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

fn rank_cell(rank: Option<f64>) -> Cell {
    Cell {
        value: rank,
        text: rank.map_or_else(
            || "–".to_owned(),
            |rank| tick_label(rank, if rank.fract() == 0.0 { 1.0 } else { 0.1 }),
        ),
    }
}

fn names(values: &[f64]) -> Vec<String> {
    values
        .iter()
        .map(|&value| tick_label(value, value))
        .collect()
}
