//! A suite's methods side by side: one row for each problem, each method by its best trial.

use bench_analysis::counted;
use bench_analysis::pairs::{best_trial, methods};
use bench_experiment::store::Results;
use bench_stats::median_or_infinite;

use crate::number::short;
use crate::table::Table;

/// The median final loss over seeds of each method's trial that is best over the targets of the problem.
pub(crate) fn table(results: &Results) -> Table {
    let methods = methods(results);
    let mut headers = vec!["problem".to_owned()];
    headers.extend(methods.iter().map(|(name, _)| name.clone()));
    let rows = results.problems.iter().map(|problem| {
        let losses = methods.iter().map(|(name, _)| {
            let trial = best_trial(results, problem, name)?;
            let runs = counted::runs(results, &problem.label, &trial);
            let losses: Vec<f64> = runs.map(counted::final_loss).collect();
            Some(short(median_or_infinite(&losses)))
        });
        let mut row = vec![problem.label.clone()];
        row.extend(losses.map(|loss| loss.unwrap_or_else(|| "–".to_owned())));
        row
    });
    let rows = rows.collect();
    Table { headers, rows }
}
