//! How much the choice of the learning rate matters.

use super::chart::Chart;
use super::comparison::{Curve, log_log};
use super::convergence::file_stem;
use crate::run::RunRecord;
use crate::stats;
use crate::store::{ProblemInfo, Results};

/// The final loss against the learning rate, one curve for each method that was run at two or more on
/// this problem: a wide flat valley is robust. `None` without such a method.
pub fn sensitivity(results: &Results, problem: &ProblemInfo) -> Option<Chart> {
    let mut curves: Vec<Curve> = Vec::new();
    for optimizer in &results.optimizers {
        let Some(config) = optimizer.config(&problem.label) else {
            continue;
        };
        let losses: Vec<f64> = results
            .runs(&problem.label, &optimizer.label)
            .map(RunRecord::final_loss)
            .collect();
        let median = stats::median(&losses);
        if median.is_nan() {
            continue;
        }
        let interval = stats::median_interval(&losses, 0.95)
            .ok()
            .map(|estimate| [estimate.interval.low, estimate.interval.high]);
        let value = (config.learning_rate(), median, interval);
        let method = optimizer.method();
        match curves.iter_mut().find(|curve| curve.label == method) {
            Some(curve) => curve.values.push(value),
            None => curves.push(Curve {
                label: method,
                values: vec![value],
            }),
        }
    }
    curves.retain(|curve| curve.values.len() > 1);
    for curve in &mut curves {
        curve.values.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    if curves.is_empty() {
        return None;
    }
    let caption = "Median final loss against the learning rate (Adam's, of FUSE-PV; the first trial of the \
                   line search, of L-BFGS); bands are the distribution-free intervals for the median. A \
                   wide flat valley means that the choice hardly matters. Rates at which the median run \
                   diverged have no point.";
    Some(log_log(
        &format!("{}-sensitivity", file_stem(&problem.label)),
        &problem.title,
        "learning rate",
        &problem.loss_name,
        caption,
        &curves,
    ))
}
