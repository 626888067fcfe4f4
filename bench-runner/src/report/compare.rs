//! Two result sets side by side: what is the same, what changed, and whether chance explains it.

use std::collections::BTreeSet;

use super::Table;
use super::number::short;
use crate::run::{Outcome, RunRecord};
use crate::stats::{self, Alternative};
use crate::store::Results;

/// Below this corrected p-value a difference is called a change.
const LEVEL: f64 = 0.05;

/// One optimizer on one problem in both sets, over the seeds that both have.
struct Pair<'a> {
    problem: &'a str,
    optimizer: &'a str,
    first: Vec<f64>,
    second: Vec<f64>,
    identical: usize,
}

/// Compares the final losses of the runs that both result sets have, paired by seed. Runs that
/// diverged or failed count as ∞.
pub fn compare(first: &Results, second: &Results) -> String {
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
    let mut text = format!(
        "{} and {}: {matched} runs in both, {} only in the first, {} only in the second\n",
        first.suite,
        second.suite,
        first.records.len() - matched,
        second.records.len() - matched,
    );
    if pairs.is_empty() {
        return text;
    }
    // Without a difference there is nothing to test; what can be tested is corrected together.
    let tested: Vec<Option<f64>> = pairs.iter().map(Pair::p_value).collect();
    let raw: Vec<f64> = tested.iter().flatten().copied().collect();
    let corrected = stats::holm(&raw).unwrap_or(raw);
    let mut corrected = corrected.into_iter();
    let mut table = Table {
        headers: [
            "problem",
            "optimizer",
            "seeds",
            "first",
            "second",
            "same",
            "p",
            "reading",
        ]
        .map(str::to_string)
        .to_vec(),
        rows: Vec::new(),
    };
    for (pair, tested) in pairs.iter().zip(tested) {
        let p_value = tested.and_then(|_| corrected.next());
        table.rows.push(vec![
            pair.problem.into(),
            pair.optimizer.into(),
            pair.first.len().to_string(),
            short(stats::median(&pair.first)),
            short(stats::median(&pair.second)),
            format!("{}/{}", pair.identical, pair.first.len()),
            p_value.map_or_else(|| "–".into(), short),
            pair.reading(p_value).into(),
        ]);
    }
    text += "Median final losses; `same` counts runs equal in every measured point but for times; p: \
             two-sided sign test over seeds, Holm-corrected.\n\n";
    text + &table.plain(100)
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
        for run in first.runs(problem, optimizer) {
            let Some(other) = second
                .runs(problem, optimizer)
                .find(|other| other.cell.seed == run.cell.seed)
            else {
                continue;
            };
            pair.first.push(final_loss(run));
            pair.second.push(final_loss(other));
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

    fn reading(&self, p_value: Option<f64>) -> &'static str {
        match p_value {
            _ if self.identical == self.first.len() => "identical",
            Some(p) if p < LEVEL => {
                if stats::median(&self.second) < stats::median(&self.first) {
                    "second is lower"
                } else {
                    "second is higher"
                }
            }
            Some(_) => "within noise",
            None => "same final losses",
        }
    }
}

fn final_loss(run: &RunRecord) -> f64 {
    match (&run.outcome, run.last()) {
        (Outcome::Completed { .. } | Outcome::Interrupted, Some(point)) if !point.loss.is_nan() => {
            point.loss
        }
        _ => f64::INFINITY,
    }
}
