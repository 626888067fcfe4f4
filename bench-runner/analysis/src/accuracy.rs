//! Test accuracies over seeds: as the authors of FUSE report them, and what the seeds support.

use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::{
    Estimate, Interval, mean, median, median_interval, population_variance, student_t,
};

use crate::counted;
use crate::quantity::Quantity;

/// The last test accuracies of one optimizer on one problem, in percent; runs that diverged or failed count
/// as 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy<'a> {
    /// The problem.
    pub problem: &'a ProblemInfo,
    /// The optimizer's label.
    pub optimizer: &'a str,
    /// Runs that count.
    pub seeds: usize,
    /// The mean.
    pub mean: f64,
    /// The population variance, in points².
    pub variance: f64,
    /// Student's interval for the mean at 95 %, within 0 to 100; `None` for one seed.
    pub mean_interval: Option<Interval>,
    /// The median.
    pub median: f64,
    /// The distribution-free interval for the median, at 95 % or as near as the seeds allow.
    pub median_interval: Option<Estimate>,
}

/// The accuracies on each problem that has them.
pub fn accuracies(results: &Results) -> Vec<Accuracy<'_>> {
    let mut all = Vec::new();
    for problem in results
        .problems
        .iter()
        .filter(|problem| problem.has_accuracy)
    {
        for optimizer in &results.optimizers {
            let points: Vec<f64> = counted::runs(results, &problem.label, &optimizer.label)
                .filter_map(|run| counted::last(run, Quantity::Accuracy))
                .map(|share| 100.0 * share)
                .collect();
            if points.is_empty() {
                continue;
            }
            all.push(Accuracy {
                problem,
                optimizer: &optimizer.label,
                seeds: points.len(),
                mean: mean(&points),
                variance: population_variance(&points),
                mean_interval: student_t(&points, 0.95).ok().map(|estimate| Interval {
                    // No share lies outside 0 to 100 %.
                    low: estimate.interval.low.max(0.0),
                    high: estimate.interval.high.min(100.0),
                    ..estimate.interval
                }),
                median: median(&points),
                median_interval: median_interval(&points, 0.95).ok(),
            });
        }
    }
    all
}
