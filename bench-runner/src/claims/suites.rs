//! What the results of a suite show.

use std::collections::BTreeMap;

use super::{Detectable, Evidence, Measured};
use crate::Result;
use crate::stats::{detectable_share, median, wilson};
use crate::store::{ProblemInfo, Results};

/// The power that a detectable effect is stated at.
const POWER: f64 = 0.8;

/// What results say of evidence that rests on a suite's; nothing of other evidence.
pub(super) fn measured(evidence: &Evidence, results: &Results, level: f64) -> Result<Measured> {
    match evidence {
        Evidence::Wins {
            method,
            other,
            within,
            ..
        } => wins(results, [method, other], within, level),
        Evidence::ProbabilityOfLowerLoss {
            method,
            other,
            within,
            ..
        } => lower_loss(results, [method, other], within, level),
        _ => Ok(Measured::Nothing("not told by a suite's results".into())),
    }
}

/// The problems whose labels have one of these parts; all where none is named.
fn problems<'a>(
    results: &'a Results,
    within: &'a [String],
) -> impl Iterator<Item = &'a ProblemInfo> {
    results.problems.iter().filter(|problem| {
        let mut parts = problem.label.split('/');
        within.is_empty() || parts.any(|part| within.iter().any(|wanted| wanted == part))
    })
}

/// The least median evaluations to the target among a method's trials, by problem.
fn best_costs(results: &Results, method: &str, within: &[String]) -> BTreeMap<String, f64> {
    let mut best = BTreeMap::new();
    for problem in problems(results, within) {
        let Some(target) = problem.target else {
            continue;
        };
        for optimizer in &results.optimizers {
            let costs: Vec<f64> = results
                .runs(&problem.label, &optimizer.label)
                .map(|run| run.cost_to(target))
                .collect();
            if optimizer.method() == method && !costs.is_empty() {
                let cost = median(&costs);
                let known = best.entry(problem.label.clone()).or_insert(f64::INFINITY);
                *known = known.min(cost);
            }
        }
    }
    best
}

fn wins(
    results: &Results,
    [method, other]: [&str; 2],
    within: &[String],
    level: f64,
) -> Result<Measured> {
    let [mine, theirs] = [method, other].map(|method| best_costs(results, method, within));
    let decided: Vec<bool> = mine
        .iter()
        .filter_map(|(problem, cost)| Some((*cost, *theirs.get(problem)?)))
        .filter(|(mine, theirs)| mine.is_finite() || theirs.is_finite())
        .map(|(mine, theirs)| mine < theirs)
        .collect();
    if decided.is_empty() {
        return Ok(Measured::Nothing(format!(
            "neither {method} nor {other} reaches a target in `{}`",
            results.suite
        )));
    }
    let won = decided.iter().filter(|won| **won).count();
    Ok(wilson(won as u64, decided.len() as u64, level)?.into())
}

fn lower_loss(
    results: &Results,
    labels: [&str; 2],
    within: &[String],
    level: f64,
) -> Result<Measured> {
    let (mut won, mut lost) = (0, 0);
    for problem in problems(results, within) {
        // What did not complete has an infinite loss.
        let [mine, theirs] = labels.map(|label| {
            let runs = results.runs(&problem.label, label);
            runs.map(|run| (run.cell.seed, run.final_loss()))
                .collect::<BTreeMap<u64, f64>>()
        });
        for (seed, loss) in mine {
            let Some(&other) = theirs.get(&seed) else {
                continue;
            };
            won += u64::from(loss < other);
            lost += u64::from(loss > other);
        }
    }
    let pairs = won + lost;
    if pairs == 0 {
        return Ok(Measured::Nothing(format!(
            "no pair of runs of {} and {} in `{}` differs",
            labels[0], labels[1], results.suite
        )));
    }
    Ok(Measured::Estimated {
        estimate: wilson(won, pairs, level)?,
        detectable: Some(Detectable {
            pairs,
            probability: detectable_share(pairs, level, POWER)?,
            power: POWER,
        }),
    })
}
