//! Whether lists of trials are long enough: on how many problems the best trial is at an end of its list.

use bench_experiment::store::{OptimizerInfo, ProblemInfo, Results};

use crate::equivalence::EQUIVALENCE;
use crate::ladder::{RUNGS, ladder};
use crate::pairs::{TrialCost, methods, trial_cost};

/// From this share of the problems on a list is short.
const SHORT: f64 = 0.25;

/// A method whose trials are a list of values of one setting, such as `adam/learning_rate=0.01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEnds {
    /// The method.
    pub method: String,
    /// The problems on which its trials can be told apart.
    pub problems: usize,
    /// Those on which its lowest value is more than 10 % cheaper than the next one, and cheaper than all others.
    pub lowest: usize,
    /// The same of its highest value.
    pub highest: usize,
}

impl ListEnds {
    /// Whether the list is so short that a better value may lie beyond it on a quarter of the problems or more.
    pub fn is_short(&self) -> bool {
        let ends = self.lowest + self.highest;
        self.problems > 0 && ends as f64 >= SHORT * self.problems as f64
    }
}

/// The methods that have a list of three values or more.
pub fn list_ends(results: &Results) -> Vec<ListEnds> {
    let problems = results.problems.iter();
    let problems: Vec<(&ProblemInfo, [f64; RUNGS])> = problems
        .filter_map(|problem| Some((problem, ladder(results, &problem.label)?)))
        .collect();
    methods(results)
        .into_iter()
        .filter_map(|(method, trials)| Some((method, ascending(&trials)?)))
        .map(|(method, trials)| {
            let ends: Vec<Option<End>> = problems
                .iter()
                .filter_map(|(problem, targets)| end(results, problem, targets, &trials))
                .collect();
            let count = |wanted: End| ends.iter().filter(|end| **end == Some(wanted)).count();
            ListEnds {
                method,
                problems: ends.len(),
                lowest: count(End::Lowest),
                highest: count(End::Highest),
            }
        })
        .collect()
}

/// The trials by their value; `None` where there are fewer than three, or they are no list of numbers.
fn ascending<'a>(trials: &[&'a OptimizerInfo]) -> Option<Vec<&'a str>> {
    let value = |trial: &&'a OptimizerInfo| {
        // Two settings make a grid, not a list.
        let (_, value) = trial.label.split_once('=')?;
        Some((value.parse::<f64>().ok()?, trial.label.as_str()))
    };
    let mut values: Vec<(f64, &str)> = trials.iter().map(value).collect::<Option<_>>()?;
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    (values.len() > 2).then(|| values.into_iter().map(|(_, label)| label).collect())
}

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Lowest,
    Highest,
}

/// The end of the list that is best on a problem, if one is; `None` where no trial reaches any target.
fn end(
    results: &Results,
    problem: &ProblemInfo,
    targets: &[f64],
    trials: &[&str],
) -> Option<Option<End>> {
    let costs = trials
        .iter()
        .map(|trial| trial_cost(results, problem, trial, targets));
    let costs: Vec<TrialCost> = costs.collect::<Option<_>>()?;
    if costs.iter().all(|cost| cost.median.is_infinite()) {
        return None;
    }
    let is_best = |own: usize, next: usize| {
        costs[own].median * EQUIVALENCE <= costs[next].median
            && costs.iter().all(|other| costs[own].median <= other.median)
    };
    let last = costs.len() - 1;
    Some(if is_best(0, 1) {
        Some(End::Lowest)
    } else if is_best(last, last - 1) {
        Some(End::Highest)
    } else {
        None
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bench_experiment::run::{CellId, CurvePoint, Outcome, RunRecord};
    use bench_experiment::spec::Experiment;

    use super::*;

    /// The results of three trials on four problems: the loss falls by a digit in so many evaluations.
    fn results(speeds: [[u64; 3]; 4]) -> Results {
        let text = "name = 'demo'\nseeds = 1\n\
                    problem = [{ label = 'p', kind = 'function', function = 'booth', budget = 4000, \
                    grid = { noise = [0.1, 0.2, 0.3, 0.4] } }]\n\
                    optimizer = [{ kind = 'adam', grid = { learning_rate = [0.1, 1.0, 0.01] } }, \
                    { kind = 'sgd' }]\n";
        let experiment = Experiment::parse(text, "demo.toml".as_ref()).unwrap();
        let mut records = Vec::new();
        for (problem, speeds) in experiment.problems.iter().zip(speeds) {
            for (optimizer, speed) in experiment.optimizers.iter().zip(speeds) {
                let cell = CellId {
                    problem: problem.label.clone(),
                    optimizer: optimizer.label.clone(),
                    seed: 0,
                };
                let reason = "budget spent".into();
                let mut run = RunRecord::new(cell, Outcome::Completed { reason });
                let loss = |at: u64| 10f64.powf(-(at as f64) / speed as f64);
                let points = (0..=4000).step_by(10);
                run.curve = points.map(|at| CurvePoint::of_loss(at, loss(at))).collect();
                records.push(run);
            }
        }
        Results::new(&experiment, &[2; 4], records)
    }

    #[test]
    fn an_end_counts_where_it_is_better_than_its_neighbour_by_more_than_a_tie() {
        // The values are 0.1, 1.0 and 0.01, in this order.
        let ends = list_ends(&results([
            [100, 200, 300],
            [200, 100, 300],
            [200, 300, 100],
            [104, 100, 300],
        ]));
        let expected = ListEnds {
            method: "adam".into(),
            problems: 4,
            lowest: 1,
            highest: 1,
        };
        assert_eq!(ends, [expected]);
        assert!(ends[0].is_short());
        // The middle is best on three problems of four, and within a tie on the last.
        let inside = list_ends(&results([[100, 200, 300]; 4]));
        assert_eq!((inside[0].lowest, inside[0].highest), (0, 0));
        assert!(!inside[0].is_short());
    }
}
