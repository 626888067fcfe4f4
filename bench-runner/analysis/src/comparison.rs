//! Two result sets side by side: what is the same, what changed, and whether chance explains it.

use std::collections::BTreeSet;

use bench_experiment::run::RunRecord;
use bench_experiment::store::Results;
use bench_stats::{self as stats, Alternative, median};

use crate::counted;

/// Below this corrected p-value a difference is called a change.
const LEVEL: f64 = 0.05;

/// Two result sets, compared run by run.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Runs in both.
    pub matched: usize,
    /// Runs only in the first.
    pub only_first: usize,
    /// Runs only in the second.
    pub only_second: usize,
    /// One entry for each optimizer on each problem that both have.
    pub changes: Vec<Change>,
}

/// One optimizer on one problem in both sets, over the seeds that both have.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The problem's label.
    pub problem: String,
    /// The optimizer's label.
    pub optimizer: String,
    /// Seeds in both.
    pub seeds: usize,
    /// The median final loss in the first set.
    pub first: f64,
    /// The median final loss in the second.
    pub second: f64,
    /// Runs equal in every measured point but for times.
    pub identical: usize,
    /// Two-sided sign test over seeds, corrected for all changes together; `None` without a difference.
    pub p_value: Option<f64>,
}

impl Change {
    /// What it comes to, in words.
    pub fn reading(&self) -> &'static str {
        match self.p_value {
            _ if self.identical == self.seeds => "identical",
            Some(p) if p < LEVEL && self.second < self.first => "second is lower",
            Some(p) if p < LEVEL => "second is higher",
            Some(_) => "within noise",
            None => "same final losses",
        }
    }
}

/// The final losses of both sets on one problem.
struct Pair<'a> {
    problem: &'a str,
    optimizer: &'a str,
    first: Vec<f64>,
    second: Vec<f64>,
    identical: usize,
}

/// Compares the final losses of the runs that both result sets have, paired by seed.
pub fn compare(first: &Results, second: &Results) -> Comparison {
    let labels: BTreeSet<(&str, &str)> = first
        .records
        .iter()
        .map(|run| (run.cell.problem.as_str(), run.cell.optimizer.as_str()))
        .collect();
    let pairs: Vec<Pair<'_>> = labels
        .iter()
        .filter_map(|&(problem, optimizer)| Pair::new(first, second, problem, optimizer))
        .collect();
    let matched: usize = pairs.iter().map(|pair| pair.first.len()).sum();
    // Without a difference there is nothing to test; what can be tested is corrected together.
    let tested: Vec<Option<f64>> = pairs.iter().map(Pair::p_value).collect();
    let raw: Vec<f64> = tested.iter().flatten().copied().collect();
    let mut corrected = stats::holm(&raw).unwrap_or(raw).into_iter();
    let changes = pairs.iter().zip(tested).map(|(pair, tested)| Change {
        problem: pair.problem.into(),
        optimizer: pair.optimizer.into(),
        seeds: pair.first.len(),
        first: median(&pair.first),
        second: median(&pair.second),
        identical: pair.identical,
        p_value: tested.and_then(|_| corrected.next()),
    });
    Comparison {
        matched,
        only_first: first.records.len() - matched,
        only_second: second.records.len() - matched,
        changes: changes.collect(),
    }
}

impl<'a> Pair<'a> {
    fn new(
        first: &'a Results,
        second: &'a Results,
        problem: &'a str,
        optimizer: &'a str,
    ) -> Option<Self> {
        let mut pair = Self {
            problem,
            optimizer,
            first: Vec::new(),
            second: Vec::new(),
            identical: 0,
        };
        for run in counted::runs(first, problem, optimizer) {
            let same_seed = |other: &&RunRecord| other.cell.seed == run.cell.seed;
            let Some(other) = counted::runs(second, problem, optimizer).find(same_seed) else {
                continue;
            };
            pair.first.push(counted::final_loss(run));
            pair.second.push(counted::final_loss(other));
            pair.identical += usize::from(run.without_times() == other.without_times());
        }
        (!pair.first.is_empty()).then_some(pair)
    }

    fn p_value(&self) -> Option<f64> {
        let differences = stats::paired_differences(&self.first, &self.second).ok()?;
        if differences.iter().all(|difference| *difference == 0.0) {
            return None;
        }
        stats::sign_test(&differences, Alternative::TwoSided)
            .ok()
            .map(|test| test.p_value)
    }
}
