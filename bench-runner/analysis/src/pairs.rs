//! Two methods on the same problems and seeds: who was faster, where, and by how much. A difference within the
//! equivalence zone is a tie.

use std::fmt;

use bench_experiment::run::RunRecord;
use bench_experiment::store::{OptimizerInfo, ProblemInfo, Results};
use bench_stats::median;
use optim::Phase;

use crate::counted;
use crate::equivalence::EQUIVALENCE;
use crate::ladder::{self, ladder};
use crate::stability::are_stable;

/// What a comparison came to, for the first of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was cheaper by more than the equivalence zone.
    Win,
    /// Within the zone.
    Tie,
    /// It was dearer by more than the zone.
    Loss,
}

impl Standing {
    /// The standing that a ratio of costs, one's own over the other's, comes to.
    pub fn of(ratio: f64) -> Self {
        if ratio * EQUIVALENCE <= 1.0 {
            Self::Win
        } else if ratio >= EQUIVALENCE {
            Self::Loss
        } else {
            Self::Tie
        }
    }
}

/// Two methods on one problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Paired {
    /// The problem's label.
    pub problem: String,
    /// log of the ratio of costs, the first method's over the other's: the median over seeds and targets. −∞ where
    /// only the first method reached most of them, +∞ where only the other did.
    pub log_ratio: f64,
    /// The same where a target that was missed counts as met at the end of the budget: it is finite, and the true
    /// difference is no smaller.
    pub bounded_log_ratio: f64,
    /// What `log_ratio` comes to.
    pub standing: Standing,
    /// Whether every target was reached at the same cost by both, in the first-order phase of both: up to there they
    /// are one method.
    pub shared_phase: bool,
}

/// The wins, ties and losses of one method against another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Problems won.
    pub wins: u64,
    /// Problems tied, those in the shared phase included.
    pub ties: u64,
    /// Ties because both were in the same first phase.
    pub shared: u64,
    /// Problems lost.
    pub losses: u64,
}

impl Tally {
    /// Counts the standings.
    pub fn of(pairs: &[Paired]) -> Self {
        let count = |standing: Standing| {
            pairs
                .iter()
                .filter(|pair| pair.standing == standing)
                .count() as u64
        };
        Self {
            wins: count(Standing::Win),
            ties: count(Standing::Tie),
            shared: pairs.iter().filter(|pair| pair.shared_phase).count() as u64,
            losses: count(Standing::Loss),
        }
    }

    /// Problems that are no tie.
    pub fn decided(&self) -> u64 {
        self.wins + self.losses
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.wins, self.ties, self.losses)
    }
}

/// Compares two optimizers, by label, on each of these problems on which both ran, with the same seeds, over the
/// problem's [`ladder()`]. Targets that neither reached are left out; where that leaves nothing, so is the problem, and
/// so it is where one of the two is not [stable](are_stable).
pub fn paired<'a>(
    results: &'a Results,
    problems: impl IntoIterator<Item = &'a ProblemInfo>,
    method: &dyn Fn(&ProblemInfo) -> Option<String>,
    other: &dyn Fn(&ProblemInfo) -> Option<String>,
) -> Vec<Paired> {
    problems
        .into_iter()
        .filter_map(|problem| {
            let targets = ladder(results, &problem.label)?;
            let labels = [&*method(problem)?, &*other(problem)?];
            if !are_stable(results, problem, labels) {
                return None;
            }
            pair(results, problem, labels, &targets)
        })
        .collect()
}

fn pair(
    results: &Results,
    problem: &ProblemInfo,
    labels: [&str; 2],
    targets: &[f64],
) -> Option<Paired> {
    let [mut log_ratios, mut bounded] = [Vec::new(), Vec::new()];
    let mut shared_phase = true;
    for mine in counted::runs(results, &problem.label, labels[0]) {
        let same_seed = |run: &&RunRecord| run.cell.seed == mine.cell.seed;
        let Some(theirs) = counted::runs(results, &problem.label, labels[1]).find(same_seed) else {
            continue;
        };
        for &target in targets {
            let hits = [mine.first_at(target), theirs.first_at(target)];
            let costs = [mine.cost_to(target), theirs.cost_to(target)];
            if hits.iter().all(Option::is_none) {
                continue;
            }
            // A target met at the start costs nothing, and is no ground for a ratio.
            let [own, others] = costs.map(|cost| cost.max(1.0));
            log_ratios.push(log_ratio(own, others));
            let [own_bounded, others_bounded] =
                [own, others].map(|cost| cost.min(problem.budget as f64));
            bounded.push(log_ratio(own_bounded, others_bounded));
            let in_first_phase = hits
                .iter()
                .all(|hit| hit.is_some_and(|point| point.phase == Phase::FirstOrder));
            shared_phase &= own == others && in_first_phase;
        }
    }
    if log_ratios.is_empty() {
        return None;
    }
    let log_ratio = median(&log_ratios);
    Some(Paired {
        problem: problem.label.clone(),
        log_ratio,
        bounded_log_ratio: median(&bounded),
        standing: Standing::of(log_ratio.exp()),
        shared_phase,
    })
}

fn log_ratio(own: f64, other: f64) -> f64 {
    // Equal ones may both be infinite.
    if own == other {
        0.0
    } else {
        (own / other).ln()
    }
}

/// The methods, each with the optimizers that are its trials, in order.
pub fn methods(results: &Results) -> Vec<(String, Vec<&OptimizerInfo>)> {
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

/// The trial of a method (see [`OptimizerInfo::method`](bench_experiment::store::OptimizerInfo::method)) with the
/// lowest median cost on a problem, over seeds and targets; `None` without runs. The whole label of a trial names that one alone.
pub fn best_trial(results: &Results, problem: &ProblemInfo, method: &str) -> Option<String> {
    let targets = ladder(results, &problem.label)?;
    let named = |own: &&OptimizerInfo| own.method() == method || own.label == method;
    let trials: Vec<&OptimizerInfo> = results.optimizers.iter().filter(named).collect();
    best_of(results, problem, &trials, &targets).map(ToOwned::to_owned)
}

/// Of these trials the one with the lowest median cost on a problem, over seeds and targets.
pub(crate) fn best_of<'a>(
    results: &Results,
    problem: &ProblemInfo,
    trials: &[&'a OptimizerInfo],
    targets: &[f64],
) -> Option<&'a str> {
    let mut best: Option<(TrialCost, &str)> = None;
    for optimizer in trials {
        let Some(cost) = trial_cost(results, problem, &optimizer.label, targets) else {
            continue;
        };
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, &optimizer.label));
        }
    }
    best.map(|(_, label)| label)
}

/// What a trial costs on a problem: the lower, the better.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct TrialCost {
    /// The median over seeds and targets.
    pub(crate) median: f64,
    /// Targets that are missed, over all seeds: where half of them are, this decides.
    pub(crate) missed: f64,
}

/// What a trial costs on a problem; `None` without runs.
pub(crate) fn trial_cost(
    results: &Results,
    problem: &ProblemInfo,
    trial: &str,
    targets: &[f64],
) -> Option<TrialCost> {
    let costs: Vec<f64> = ladder::costs(results, &problem.label, trial, targets)
        .into_iter()
        .flat_map(|(_, costs)| costs)
        .collect();
    (!costs.is_empty()).then(|| TrialCost {
        median: median(&costs),
        missed: costs.iter().filter(|cost| cost.is_infinite()).count() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_ten_percent_either_way() {
        let standings = [0.0, 0.9, 0.92, 1.0, 1.09, 1.1, f64::INFINITY].map(Standing::of);
        use Standing::{Loss, Tie, Win};
        assert_eq!(standings, [Win, Win, Tie, Tie, Tie, Loss, Loss]);
    }
}
