//! How much the choice of the learning rate matters.

use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::{median, median_interval};

use crate::counted;

/// The final losses of a method over learning rates.
#[derive(Debug, Clone, PartialEq)]
pub struct RateCurve {
    /// The method.
    pub method: String,
    /// Learning rate, median final loss, and the ends of its interval where there is one; by rate.
    pub values: Vec<(f64, f64, Option<[f64; 2]>)>,
}

/// The curve of each method that was run with two or more learning rates on a problem.
pub fn rate_curves(results: &Results, problem: &ProblemInfo) -> Vec<RateCurve> {
    let mut curves: Vec<RateCurve> = Vec::new();
    for optimizer in &results.optimizers {
        let Some(config) = optimizer.config(&problem.label) else {
            continue;
        };
        let losses = counted::losses(results, &problem.label, &optimizer.label);
        let median = median(&losses);
        if median.is_nan() {
            continue;
        }
        let interval = median_interval(&losses, 0.95)
            .ok()
            .map(|estimate| [estimate.interval.low, estimate.interval.high]);
        let value = (config.learning_rate(), median, interval);
        let method = optimizer.method();
        match curves.iter_mut().find(|curve| curve.method == method) {
            Some(curve) => curve.values.push(value),
            None => curves.push(RateCurve {
                method,
                values: vec![value],
            }),
        }
    }
    curves.retain(|curve| curve.values.len() > 1);
    for curve in &mut curves {
        curve.values.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    curves
}
