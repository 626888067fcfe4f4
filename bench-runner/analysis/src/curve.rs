//! Curves of runs over their cost: the median over seeds with its quartiles.

use bench_experiment::run::{Outcome, RunRecord};
use bench_stats::{median, quantile};

use crate::quantity::Quantity;

/// The median and the quartiles over runs at one cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveSummary {
    /// The cost.
    pub x: f64,
    /// The median over runs.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile; infinite where a quarter of the runs have diverged.
    pub high: f64,
}

/// Median and quartiles over `runs` at up to `places` costs.
///
/// Between measurements a run's curve is interpolated linearly, on a log scale where all its values
/// are positive. A run that stopped keeps its last value until the longest run's end, one that
/// diverged or failed counts as worse than every other from its last measurement on, and one that was
/// interrupted counts only as far as it got.
pub fn summarize(
    runs: &[&RunRecord],
    axis: Quantity,
    quantity: Quantity,
    places: usize,
) -> Vec<CurveSummary> {
    let curves: Vec<(Vec<(f64, f64)>, &Outcome)> = runs
        .iter()
        .map(|run| {
            let points = run
                .curve
                .iter()
                .filter_map(|point| Some((axis.of(point)?, quantity.of(point)?)))
                .filter(|(x, _)| x.is_finite())
                .collect();
            (points, &run.outcome)
        })
        .filter(|(points, _): &(Vec<_>, _)| !points.is_empty())
        .collect();
    let logarithmic = quantity.is_logarithmic()
        && curves
            .iter()
            .flat_map(|(points, _)| points)
            .all(|(_, value)| !(*value <= 0.0));
    grid(&curves, places)
        .into_iter()
        .filter_map(|x| {
            let values: Vec<f64> = curves
                .iter()
                .filter_map(|(points, outcome)| {
                    value_at(points, outcome, quantity.worst(), x, logarithmic)
                })
                .collect();
            let median = median(&values);
            (!median.is_nan()).then(|| CurveSummary {
                x,
                median,
                low: quantile(&values, 0.25),
                high: quantile(&values, 0.75),
            })
        })
        .collect()
}

/// The costs of all measurements, thinned evenly to at most `places`, first and last kept.
fn grid(curves: &[(Vec<(f64, f64)>, &Outcome)], places: usize) -> Vec<f64> {
    let mut all: Vec<f64> = curves
        .iter()
        .flat_map(|(points, _)| points.iter().map(|(x, _)| *x))
        .collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    if all.len() <= places || places < 2 {
        return all;
    }
    (0..places)
        .map(|i| all[i * (all.len() - 1) / (places - 1)])
        .collect()
}

fn value_at(
    points: &[(f64, f64)],
    outcome: &Outcome,
    worst: f64,
    x: f64,
    logarithmic: bool,
) -> Option<f64> {
    let after = points.partition_point(|(place, _)| *place < x);
    let known = |value: f64| if value.is_nan() { worst } else { value };
    let Some(&(right, value)) = points.get(after) else {
        let (_, last) = points.last()?;
        return match outcome {
            Outcome::Completed { .. } => Some(known(*last)),
            Outcome::Diverged { .. } | Outcome::Failed { .. } => Some(worst),
            Outcome::Interrupted => None,
        };
    };
    let value = known(value);
    if right == x {
        return Some(value);
    }
    // Before its first measurement a run has no value.
    let &(left, before) = points.get(after.checked_sub(1)?)?;
    let before = known(before);
    if !(before.is_finite() && value.is_finite()) {
        return Some(before);
    }
    let share = (x - left) / (right - left);
    Some(if logarithmic {
        (before.ln() + share * (value.ln() - before.ln())).exp()
    } else {
        before + share * (value - before)
    })
}

/// The median over runs of the place of the first change of phase; NaN where none changes.
pub fn first_switch(runs: &[&RunRecord], axis: Quantity) -> f64 {
    let first: Vec<f64> = runs
        .iter()
        .filter_map(|run| axis.of_switch(run.switches.first()?))
        .collect();
    median(&first)
}

/// The height at `x` of the line that joins the medians, which is straight on a logarithmic or a linear
/// axis; `None` where no line is drawn.
pub fn height_at(x: f64, summary: &[CurveSummary], logarithmic: bool) -> Option<f64> {
    let drawn = |y: f64| y.is_finite() && (y > 0.0 || !logarithmic);
    let after = summary.partition_point(|at| at.x < x);
    let right = summary.get(after).filter(|right| drawn(right.median))?;
    if right.x == x {
        return Some(right.median);
    }
    let left = summary.get(after.checked_sub(1)?)?;
    if !drawn(left.median) {
        return None;
    }
    let share = (x - left.x) / (right.x - left.x);
    Some(if logarithmic {
        (left.median.ln() + share * (right.median.ln() - left.median.ln())).exp()
    } else {
        left.median + share * (right.median - left.median)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lie_on_the_line_as_it_is_drawn() {
        let at = |x, median| CurveSummary {
            x,
            median,
            low: median,
            high: median,
        };
        let curve = [at(0.0, 100.0), at(10.0, 1.0), at(20.0, f64::INFINITY)];
        // Halfway, on a logarithmic axis, is the geometric mean.
        let height = height_at(5.0, &curve, true).unwrap_or_default();
        assert!((height - 10.0).abs() < 1e-12, "{height}");
        assert_eq!(height_at(5.0, &curve, false), Some(50.5));
        assert_eq!(height_at(10.0, &curve, true), Some(1.0));
        for outside in [-1.0, 15.0, 30.0, f64::NAN] {
            assert_eq!(height_at(outside, &curve, true), None, "{outside}");
        }
    }
}
