//! How much the choice of the learning rate matters.

use bench_analysis::sensitivity::rate_curves;
use bench_experiment::store::{ProblemInfo, Results};

use super::chart::Chart;
use super::comparison::{Curve, log_log};
use crate::name::of_problem;

/// The final loss against the learning rate, one curve for each method that was run at two or more on
/// this problem: a wide flat valley is robust. `None` without such a method.
pub fn sensitivity(results: &Results, problem: &ProblemInfo) -> Option<Chart> {
    let curves: Vec<Curve> = rate_curves(results, problem)
        .into_iter()
        .map(|curve| Curve {
            label: curve.method,
            values: curve.values,
        })
        .collect();
    if curves.is_empty() {
        return None;
    }
    let caption = "Median final loss against the learning rate (Adam's, of FUSE-PV; the first trial of the \
                   line search, of L-BFGS); bands are the distribution-free intervals for the median. A \
                   wide flat valley means that the choice hardly matters. Rates at which the median run \
                   diverged have no point.";
    Some(log_log(
        &format!("{}-sensitivity", of_problem(results, &problem.label)),
        &problem.title,
        "learning rate",
        &problem.loss_name,
        caption,
        &curves,
    ))
}
