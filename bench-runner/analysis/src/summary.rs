//! What each optimizer reached on each problem, summed up over seeds.

use bench_experiment::run::RunRecord;
use bench_experiment::store::{OptimizerInfo, ProblemInfo, Results};
use bench_stats::{self as stats, Interval};
use optim::Phase;

use crate::counted;
use crate::overall::{Overall, overall};
use crate::quantity::Quantity;
use crate::stability::is_unstable;
use crate::switching::{can_switch, unswitched_of};

/// A median over runs with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The interval for the median; `None` for a single run.
    pub interval: Option<Interval>,
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
    /// Runs that diverged: whose loss stopped being finite, or ended above where it began.
    pub diverged: usize,
    /// Runs that failed.
    pub failed: usize,
    /// Runs that were interrupted.
    pub interrupted: usize,
    /// The last measured loss.
    pub loss: Option<Spread>,
    /// The lowest loss that was measured on the way.
    pub lowest_loss: Option<Spread>,
    /// The last measured test accuracy, from 0 to 1.
    pub accuracy: Option<Spread>,
    /// The last measured perplexity per word on the test set; `None` unless the data are text.
    pub word_perplexity: Option<Spread>,
    /// The last measured relative L2 error; `None` unless a solution is known.
    pub relative_l2: Option<Spread>,
    /// The last measured largest error.
    pub largest_error: Option<Spread>,
    /// Gradient evaluations to the problem's target; `None` without a target.
    pub to_target: Option<Spread>,
    /// Runs that reached the target.
    pub reached: usize,
    /// Of these, those that reached it in their first-order and in their second-order phase; `None` where the runs
    /// are imported, of which no phases are known.
    pub reached_by_phase: Option<[usize; 2]>,
    /// Runs whose last loss is at the target: those that reached it and did not lose it again.
    pub held: usize,
    /// Runs that switched; `None` where the optimizer has no criterion for it.
    pub switched: Option<usize>,
    /// The optimizer that all its runs equal in every measured loss, as none of them switched.
    pub unswitched_of: Option<String>,
    /// Whether rounding carries its runs further apart than seeds do, beyond chance; `None` where that was not tried.
    pub unstable: Option<bool>,
    /// Gradient evaluations in all.
    pub evaluations: Option<Spread>,
    /// Seconds of training; `None` where they are not known.
    pub seconds: Option<Spread>,
}

/// One row per problem and optimizer that has runs, in the experiment's order.
pub fn summarize(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for problem in &results.problems {
        for optimizer in &results.optimizers {
            let runs: Vec<&RunRecord> = results.runs(&problem.label, &optimizer.label).collect();
            if !runs.is_empty() {
                rows.push(row(results, problem, optimizer, &runs));
            }
        }
    }
    rows
}

fn row(results: &Results, problem: &ProblemInfo, info: &OptimizerInfo, runs: &[&RunRecord]) -> Row {
    let optimizer = info.label.as_str();
    let count = |label: &str| {
        runs.iter()
            .filter(|run| run.outcome.label() == label)
            .count()
    };
    let counting: Vec<&RunRecord> = counted::runs(results, &problem.label, optimizer).collect();
    let last = |quantity: Quantity| {
        let measured = |run: &&RunRecord| run.last().and_then(|p| quantity.of(p)).is_some();
        // Where nobody measured it, runs that diverged have no worst value of it either.
        if !counting.iter().any(measured) {
            return None;
        }
        let values = counting
            .iter()
            .filter_map(|run| counted::last(run, quantity));
        Spread::of(&values.collect::<Vec<_>>())
    };
    let of_runs = |value: &dyn Fn(&RunRecord) -> f64| {
        let values = counting.iter().map(|run| value(run));
        Spread::of(&values.filter(|value| !value.is_nan()).collect::<Vec<_>>())
    };
    let reached: Vec<Phase> = problem.target.map_or_else(Vec::new, |target| {
        runs.iter()
            .filter_map(|run| Some(run.first_at(target)?.phase))
            .collect()
    });
    let in_phase = |phase: Phase| reached.iter().filter(|own| **own == phase).count();
    Row {
        problem: problem.label.clone(),
        optimizer: optimizer.to_owned(),
        runs: runs.len(),
        diverged: runs.iter().filter(|run| counted::is_diverged(run)).count(),
        failed: count("failed"),
        interrupted: count("interrupted"),
        loss: Spread::of(
            &counting
                .iter()
                .map(|run| counted::final_loss(run))
                .collect::<Vec<_>>(),
        ),
        lowest_loss: of_runs(&|run| run.lowest_loss().unwrap_or(f64::INFINITY)),
        accuracy: last(Quantity::Accuracy),
        word_perplexity: last(Quantity::WordPerplexity),
        relative_l2: last(Quantity::RelativeL2),
        largest_error: last(Quantity::LargestError),
        to_target: problem
            .target
            .and_then(|target| of_runs(&|run| run.cost_to(target))),
        reached: reached.len(),
        reached_by_phase: (!info.is_imported())
            .then(|| [in_phase(Phase::FirstOrder), in_phase(Phase::SecondOrder)]),
        held: problem.target.map_or(0, |target| {
            runs.iter().filter(|run| run.held(target)).count()
        }),
        switched: can_switch(results, optimizer)
            .then(|| runs.iter().filter(|run| !run.switches.is_empty()).count()),
        unswitched_of: unswitched_of(results, &problem.label, optimizer).map(ToOwned::to_owned),
        unstable: results
            .stability
            .as_ref()
            .filter(|_| !info.is_imported())
            .map(|_| is_unstable(results, problem, optimizer)),
        evaluations: of_runs(&|run| run.counts.gradient_evaluations as f64),
        seconds: of_runs(&|run| run.seconds),
    }
}

/// One optimizer over all problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// The optimizer's label.
    pub optimizer: String,
    /// Its mean rank by the median final loss, over the problems on which it ran; equal losses share the mean
    /// of their ranks.
    pub mean_rank: f64,
    /// Problems on which it ran.
    pub problems: usize,
    /// Problems on which its loss is the lowest.
    pub best: usize,
    /// Runs that reached their problem's target.
    pub reached: usize,
    /// Runs that are there at their end.
    pub held: usize,
    /// Runs on problems with a target.
    pub with_target: usize,
    /// Runs that diverged or failed.
    pub lost: usize,
    /// All runs.
    pub runs: usize,
    /// Seconds of training; NaN where they are not known.
    pub seconds: f64,
    /// Its digits gained, and its standing against the reference method.
    pub overall: Overall,
}

/// Each optimizer that has runs, over all problems.
pub fn overview(results: &Results, rows: &[Row]) -> Vec<Overview> {
    let loss = |row: &Row| row.loss.map_or(f64::INFINITY, |loss| loss.median);
    let rank = |row: &Row| {
        let others = || rows.iter().filter(|other| other.problem == row.problem);
        let better = others().filter(|other| loss(other) < loss(row)).count() as f64;
        let equal = others().filter(|other| loss(other) == loss(row)).count() as f64;
        better + 0.5 * (equal + 1.0)
    };
    overall(results)
        .into_iter()
        .map(|overall| {
            let own: Vec<&Row> = rows
                .iter()
                .filter(|row| row.optimizer == overall.optimizer)
                .collect();
            let ranks: Vec<f64> = own.iter().map(|row| rank(row)).collect();
            let with_target = own.iter().filter(|row| row.to_target.is_some());
            Overview {
                optimizer: overall.optimizer.clone(),
                mean_rank: stats::mean(&ranks),
                problems: own.len(),
                best: ranks.iter().filter(|rank| **rank == 1.0).count(),
                reached: own.iter().map(|row| row.reached).sum(),
                held: own.iter().map(|row| row.held).sum(),
                with_target: with_target.map(|row| row.runs).sum(),
                lost: own.iter().map(|row| row.diverged + row.failed).sum(),
                runs: own.iter().map(|row| row.runs).sum(),
                seconds: results
                    .records
                    .iter()
                    .filter(|run| run.cell.optimizer == overall.optimizer)
                    .map(|run| run.seconds)
                    .sum(),
                overall,
            }
        })
        .collect()
}
