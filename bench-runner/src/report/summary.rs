//! What each optimizer reached on each problem, summed up over seeds.

use super::number;
use super::table::Table;
use crate::run::{Outcome, RunRecord};
use crate::stats;
use crate::store::{ProblemInfo, Results};

/// A median over runs with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The interval for the median; `None` for a single run.
    pub interval: Option<stats::Interval>,
}

impl Spread {
    /// The median of `values` with its interval at 95 % or as near as their number allows; `None` for
    /// no values.
    fn of(values: &[f64]) -> Option<Self> {
        let median = stats::median(values);
        (!median.is_nan()).then(|| Self {
            median,
            interval: stats::median_interval(values, 0.95)
                .ok()
                .map(|estimate| estimate.interval),
        })
    }

    fn text(&self, number: fn(f64) -> String) -> String {
        match self.interval {
            Some(interval) if interval.low == interval.high => number(self.median),
            Some(interval) => format!(
                "{} [{}, {}]",
                number(self.median),
                number(interval.low),
                number(interval.high)
            ),
            None => number(self.median),
        }
    }
}

/// One optimizer on one problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The problem's label.
    pub problem: String,
    /// The optimizer's label.
    pub optimizer: String,
    /// All runs.
    pub runs: usize,
    /// Runs that diverged.
    pub diverged: usize,
    /// Runs that failed.
    pub failed: usize,
    /// Runs that were interrupted.
    pub interrupted: usize,
    /// The last measured loss.
    pub loss: Option<Spread>,
    /// The last measured test accuracy, from 0 to 1.
    pub accuracy: Option<Spread>,
    /// The last measured perplexity per word on the test set; `None` unless the data are text.
    pub word_perplexity: Option<Spread>,
    /// Gradient evaluations to the problem's target; `None` without a target.
    pub to_target: Option<Spread>,
    /// Runs that reached the target.
    pub reached: usize,
    /// Gradient evaluations in all.
    pub evaluations: Option<Spread>,
    /// Seconds of training.
    pub seconds: Option<Spread>,
}

/// One row per problem and optimizer that has runs, in the experiment's order.
pub fn summarize(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for problem in &results.problems {
        for optimizer in &results.optimizers {
            let runs: Vec<&RunRecord> = results.runs(&problem.label, &optimizer.label).collect();
            if !runs.is_empty() {
                rows.push(row(problem, &optimizer.label, &runs));
            }
        }
    }
    rows
}

fn row(problem: &ProblemInfo, optimizer: &str, runs: &[&RunRecord]) -> Row {
    let count = |label: &str| {
        runs.iter()
            .filter(|run| run.outcome.label() == label)
            .count()
    };
    let counted: Vec<&RunRecord> = runs
        .iter()
        .copied()
        .filter(|run| run.outcome != Outcome::Interrupted)
        .collect();
    let last = |worst: f64, value: &dyn Fn(&RunRecord) -> Option<f64>| {
        let values: Vec<f64> = counted
            .iter()
            .filter_map(|run| match run.outcome {
                Outcome::Diverged { .. } | Outcome::Failed { .. } => Some(worst),
                Outcome::Completed { .. } | Outcome::Interrupted => {
                    value(run).map(|value| if value.is_nan() { worst } else { value })
                }
            })
            .collect();
        Spread::of(&values)
    };
    let plain = |value: &dyn Fn(&RunRecord) -> f64| {
        Spread::of(&counted.iter().map(|run| value(run)).collect::<Vec<_>>())
    };
    Row {
        problem: problem.label.clone(),
        optimizer: optimizer.to_owned(),
        runs: runs.len(),
        diverged: count("diverged"),
        failed: count("failed"),
        interrupted: count("interrupted"),
        loss: last(f64::INFINITY, &|run| Some(run.last()?.loss)),
        accuracy: if problem.has_accuracy {
            last(0.0, &|run| run.last()?.accuracy)
        } else {
            None
        },
        word_perplexity: if counted.iter().any(|run| word_perplexity(run).is_some()) {
            last(f64::INFINITY, &word_perplexity)
        } else {
            None
        },
        to_target: problem
            .target
            .and_then(|target| plain(&|run| run.cost_to(target))),
        reached: problem.target.map_or(0, |target| {
            runs.iter()
                .filter(|run| run.evaluations_to(target).is_some())
                .count()
        }),
        evaluations: plain(&|run| run.counts.gradient_evaluations as f64),
        seconds: plain(&|run| run.seconds),
    }
}

/// Each optimizer over all problems.
///
/// Ranks compare the median final losses on each problem, equal ones sharing the mean of their ranks;
/// the mean rank is over the problems on which the optimizer ran.
pub(super) fn overview(results: &Results, rows: &[Row]) -> Table {
    let loss = |row: &Row| row.loss.map_or(f64::INFINITY, |loss| loss.median);
    let rank = |row: &Row| {
        let others = || rows.iter().filter(|other| other.problem == row.problem);
        let better = others().filter(|other| loss(other) < loss(row)).count() as f64;
        let equal = others().filter(|other| loss(other) == loss(row)).count() as f64;
        better + 0.5 * (equal + 1.0)
    };
    let headers = [
        "optimizer",
        "mean rank by final loss",
        "problems",
        "lowest loss on",
        "runs that reached the target",
        "runs that diverged or failed",
        "training time (s)",
    ];
    let rows = results
        .optimizers
        .iter()
        .filter_map(|optimizer| {
            let own: Vec<&Row> = rows
                .iter()
                .filter(|row| row.optimizer == optimizer.label)
                .collect();
            let ranks: Vec<f64> = own.iter().map(|row| rank(row)).collect();
            let best = ranks.iter().filter(|rank| **rank == 1.0).count();
            let with_target = |row: &&&Row| row.to_target.is_some();
            let total: usize = own.iter().filter(with_target).map(|row| row.runs).sum();
            let reached: usize = own.iter().map(|row| row.reached).sum();
            let lost: usize = own.iter().map(|row| row.diverged + row.failed).sum();
            let runs: usize = own.iter().map(|row| row.runs).sum();
            let seconds: f64 = results
                .records
                .iter()
                .filter(|run| run.cell.optimizer == optimizer.label)
                .map(|run| run.seconds)
                .sum();
            (!own.is_empty()).then(|| {
                vec![
                    optimizer.label.clone(),
                    format!("{:.2}", stats::mean(&ranks)),
                    own.len().to_string(),
                    best.to_string(),
                    format!("{reached}/{total}"),
                    format!("{lost}/{runs}"),
                    number::short(seconds),
                ]
            })
        })
        .collect();
    Table {
        headers: headers.map(str::to_owned).to_vec(),
        rows,
    }
}

fn word_perplexity(run: &RunRecord) -> Option<f64> {
    run.last()?.word_perplexity
}

/// Whether any optimizer has a perplexity on `problem`.
pub(super) fn has_perplexity(rows: &[Row], problem: &ProblemInfo) -> bool {
    rows.iter()
        .any(|row| row.problem == problem.label && row.word_perplexity.is_some())
}

/// What counts as solved, in words.
pub(super) fn goal(problem: &ProblemInfo) -> String {
    let budget = number::whole(problem.budget as f64);
    match problem.target {
        Some(target) => format!(
            "Target: a loss of at most {}. Budget: {budget} evaluations.",
            number::short(target)
        ),
        None => format!("No target. Budget: {budget} evaluations."),
    }
}

/// The summary of one problem as a table.
pub(super) fn table(rows: &[Row], problem: &ProblemInfo) -> Table {
    let mut headers = vec!["optimizer", "final loss"];
    if problem.has_accuracy {
        headers.push("test accuracy");
    }
    let has_perplexity = has_perplexity(rows, problem);
    if has_perplexity {
        headers.push("perplexity per word");
    }
    if problem.target.is_some() {
        headers.extend(["evaluations to target", "reached"]);
    }
    headers.extend(["gradient evaluations", "time (s)", "diverged"]);
    let text = |spread: &Option<Spread>, number: fn(f64) -> String| {
        spread
            .as_ref()
            .map_or_else(|| "–".to_owned(), |spread| spread.text(number))
    };
    let rows = rows
        .iter()
        .filter(|row| row.problem == problem.label)
        .map(|row| {
            let mut cells = vec![row.optimizer.clone(), text(&row.loss, number::short)];
            if problem.has_accuracy {
                cells.push(text(&row.accuracy, number::percent));
            }
            if has_perplexity {
                cells.push(text(&row.word_perplexity, number::short));
            }
            if problem.target.is_some() {
                cells.push(text(&row.to_target, number::whole));
                cells.push(format!("{}/{}", row.reached, row.runs));
            }
            cells.push(
                row.evaluations
                    .map_or_else(|| "–".to_owned(), |spread| number::whole(spread.median)),
            );
            cells.push(
                row.seconds
                    .map_or_else(|| "–".to_owned(), |spread| number::short(spread.median)),
            );
            cells.push(unfinished(row));
            cells
        })
        .collect();
    Table {
        headers: headers.into_iter().map(str::to_owned).collect(),
        rows,
    }
}

/// How many runs did not complete, by kind.
pub(super) fn unfinished(row: &Row) -> String {
    let mut text = format!("{}/{}", row.diverged, row.runs);
    if row.failed > 0 {
        text.push_str(&format!(" + {} failed", row.failed));
    }
    if row.interrupted > 0 {
        text.push_str(&format!(" + {} interrupted", row.interrupted));
    }
    text
}
