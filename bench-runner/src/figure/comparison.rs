//! Charts that compare optimizers: evaluations to target, profiles, rankings, effects, costs.

use super::chart::{
    Cell, Chart, Contours, Coordinate, Curves, Grid, Heat, Interval, Intervals, Joint, Panel,
    Point, Scale, Series, Surface,
};
use super::convergence::file_stem;
use super::scale::tick_label;
use crate::run::Outcome;
use crate::stats::{self, Ecdf};
use crate::store::{ProblemInfo, Results};

/// Evaluations to the problem's target, per optimizer the share of runs that have reached it: the
/// empirical distribution function of the run time. `None` when the problem has no target.
pub fn evaluations_to_target(results: &Results, problem: &ProblemInfo) -> Option<Chart> {
    let target = problem.target?;
    let series: Vec<(String, usize, Vec<f64>)> = results
        .optimizers
        .iter()
        .enumerate()
        .map(|(style, optimizer)| {
            let costs = results
                .runs(&problem.label, &optimizer.label)
                .filter(|run| run.outcome != Outcome::Interrupted)
                .map(|run| {
                    run.evaluations_to(target)
                        .map_or(f64::INFINITY, |cost| cost as f64)
                })
                .collect();
            (optimizer.label.clone(), style, costs)
        })
        .filter(|(_, _, costs): &(_, _, Vec<f64>)| !costs.is_empty())
        .collect();
    let reached = series
        .iter()
        .map(|(label, _, costs)| {
            let count = costs.iter().filter(|cost| cost.is_finite()).count();
            format!("{label} {count} of {}", costs.len())
        })
        .collect::<Vec<_>>()
        .join(", ");
    let end = problem.budget as f64;
    Some(Chart {
        name: format!("{}-to-target", file_stem(&problem.label)),
        title: problem.title.clone(),
        caption: format!(
            "Share of runs that have reached a loss of at most {} after the given number of gradient \
             evaluations. A curve that ends below 1 says that not all runs got there within the budget.",
            tick_label(target, target)
        ),
        alt: format!(
            "Step curves of the share of runs that reached the target. Reached: {reached}."
        ),
        panels: vec![Panel::Curves(Curves {
            title: String::new(),
            x: Coordinate::new("gradient evaluations", Scale::Linear).within(0.0, 1.04 * end),
            y: Coordinate::new("share of runs at target", Scale::Linear).within(0.0, 1.04),
            series: distribution(series, 0.0, end),
            references: Vec::new(),
        })],
    })
}

/// The performance profile (Dolan and Moré 2002) over problems with a target: for each optimizer the
/// share of problems on which its median cost to the target is at most τ times the best one's.
/// `None` with fewer than two such problems.
pub fn performance_profile(results: &Results) -> Option<Chart> {
    let problems: Vec<(&ProblemInfo, f64)> = results
        .problems
        .iter()
        .filter_map(|problem| Some((problem, problem.target?)))
        .collect();
    if problems.len() < 2 {
        return None;
    }
    let costs: Vec<Vec<f64>> = results
        .optimizers
        .iter()
        .map(|optimizer| {
            problems
                .iter()
                .map(|(problem, target)| {
                    let costs: Vec<f64> = results
                        .runs(&problem.label, &optimizer.label)
                        .map(|run| {
                            // A target met at the start would make every ratio to it infinite.
                            run.evaluations_to(*target)
                                .map_or(f64::INFINITY, |cost| cost.max(1) as f64)
                        })
                        .collect();
                    let median = stats::median(&costs);
                    if median.is_nan() {
                        f64::INFINITY
                    } else {
                        median
                    }
                })
                .collect()
        })
        .collect();
    let profiles = stats::performance_profiles(&costs).ok()?;
    let steps: Vec<Vec<(f64, f64)>> = profiles.iter().map(Ecdf::steps).collect();
    let end = 1.3
        * steps
            .iter()
            .flatten()
            .map(|(ratio, _)| *ratio)
            .fold(2.0, f64::max);
    let series = results
        .optimizers
        .iter()
        .zip(&steps)
        .enumerate()
        .map(|(style, (optimizer, steps))| staircase(&optimizer.label, style, steps, 1.0, end))
        .collect();
    let solved = results
        .optimizers
        .iter()
        .zip(&costs)
        .map(|(optimizer, costs)| {
            let count = costs.iter().filter(|cost| cost.is_finite()).count();
            format!("{} {count} of {}", optimizer.label, costs.len())
        })
        .collect::<Vec<_>>()
        .join(", ");
    Some(Chart {
        name: "performance-profile".to_owned(),
        title: "Performance profile".to_owned(),
        caption: format!(
            "Share of the {} problems with a target on which the median cost to the target is at most τ \
             times the lowest one. The value at τ = 1 is the share of problems won, the right end the \
             share solved within the budget.",
            problems.len()
        ),
        alt: format!("Step curves of the performance profile. Problems solved: {solved}."),
        panels: vec![Panel::Curves(Curves {
            title: String::new(),
            x: Coordinate::new("τ, cost relative to the best", Scale::Log).within(1.0, end),
            y: Coordinate::new("share of problems", Scale::Linear).within(0.0, 1.04),
            series,
            references: Vec::new(),
        })],
    })
}

fn distribution(groups: Vec<(String, usize, Vec<f64>)>, start: f64, end: f64) -> Vec<Series> {
    groups
        .into_iter()
        .filter_map(|(label, style, values)| {
            let steps = Ecdf::new(&values).ok()?.steps();
            Some(staircase(&label, style, &steps, start, end))
        })
        .collect()
}

/// The steps of a distribution function, from zero at `start` on to its last value at `end`.
fn staircase(label: &str, style: usize, steps: &[(f64, f64)], start: f64, end: f64) -> Series {
    let last = steps.last().map_or(0.0, |(_, share)| *share);
    let points = std::iter::once((start, 0.0))
        .chain(steps.iter().copied())
        .chain([(end, last)])
        .map(|(x, y)| Point { x, y })
        .collect();
    Series {
        joint: Joint::Steps,
        ..Series::new(label, style, points)
    }
}

/// One estimated effect with its interval, for [`effects`].
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// What was changed, for example `S3 accuracy on the first batch only`.
    pub label: String,
    /// The effect.
    pub estimate: Option<f64>,
    /// The interval's ends.
    pub interval: [f64; 2],
}

/// One-at-a-time effects with their intervals, one per row, such as how far each discrepancy of a
/// published code moves a result; zero means none.
pub fn effects(name: &str, title: &str, quantity: &str, effects: &[Effect]) -> Chart {
    let clear = effects
        .iter()
        .filter(|effect| effect.interval[0] > 0.0 || effect.interval[1] < 0.0)
        .map(|effect| effect.label.as_str())
        .collect::<Vec<_>>();
    Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: format!(
            "{quantity} when one thing at a time is changed. Bars are intervals; one that crosses the \
             dashed line at zero is compatible with no effect."
        ),
        alt: format!(
            "Effects with intervals, {} rows. Clear of zero: {}.",
            effects.len(),
            if clear.is_empty() {
                "none".to_owned()
            } else {
                clear.join(", ")
            }
        ),
        panels: vec![Panel::Intervals(Intervals {
            title: String::new(),
            x: Coordinate::new(quantity, Scale::Linear),
            rows: effects
                .iter()
                .map(|effect| Interval {
                    label: effect.label.clone(),
                    style: 0,
                    estimate: effect.estimate,
                    low: effect.interval[0],
                    high: effect.interval[1],
                })
                .collect(),
            neutral: Some(0.0),
        })],
    }
}

/// The rank of one optimizer over noise level (rows) and condition number (columns); `ranks[row][column]`
/// is `None` where it was not run.
pub fn ranking_map(
    name: &str,
    optimizer: &str,
    noise: &[f64],
    condition: &[f64],
    ranks: &[Vec<Option<f64>>],
    competitors: usize,
) -> Chart {
    let names = |values: &[f64]| -> Vec<String> {
        values
            .iter()
            .map(|&value| tick_label(value, value))
            .collect()
    };
    let cells: Vec<Vec<Cell>> = ranks
        .iter()
        .map(|row| {
            row.iter()
                .map(|rank| Cell {
                    value: *rank,
                    text: rank.map_or_else(|| "–".to_owned(), |rank| tick_label(rank, 1.0)),
                })
                .collect()
        })
        .collect();
    let first = ranks
        .iter()
        .flatten()
        .filter(|rank| **rank == Some(1.0))
        .count();
    let total = ranks.iter().flatten().flatten().count();
    Chart {
        name: name.to_owned(),
        title: format!("Rank of {optimizer}"),
        caption: format!(
            "Rank of {optimizer} among {competitors} optimizers by median cost; 1, the palest, is best."
        ),
        alt: format!("Table of ranks. {optimizer} is first in {first} of {total} cells."),
        panels: vec![Panel::Heat(Heat {
            title: String::new(),
            x_label: "condition number κ".to_owned(),
            y_label: "noise level σ".to_owned(),
            columns: names(condition),
            rows: names(noise),
            cells,
            value_label: "rank".to_owned(),
            bounds: [1.0, competitors.max(2) as f64],
        })],
    }
}

/// A named curve with an optional interval, for [`sensitivity`] and [`cost`].
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name.
    pub label: String,
    /// Its values: x, estimate, and the interval's ends where there is one.
    pub values: Vec<(f64, f64, Option<[f64; 2]>)>,
}

/// The final loss against the learning rate, one curve per optimizer: flat is robust.
pub fn sensitivity(name: &str, title: &str, loss_name: &str, curves: &[Curve]) -> Chart {
    let caption = "Final loss against the learning rate; bands are intervals. A wide flat valley means \
                   that the choice hardly matters. Rates at which runs diverged have no point.";
    log_log(name, title, "learning rate", loss_name, caption, curves)
}

/// The cost of one step against a size such as the dimension or the history.
pub fn cost(name: &str, title: &str, size: &str, unit: &str, curves: &[Curve]) -> Chart {
    let caption = "Both axes are logarithmic: a straight line of slope p is a cost that grows as the \
                   p-th power of the size.";
    log_log(name, title, size, unit, caption, curves)
}

fn log_log(name: &str, title: &str, x: &str, y: &str, caption: &str, curves: &[Curve]) -> Chart {
    let series: Vec<Series> = curves
        .iter()
        .enumerate()
        .map(|(style, curve)| Series {
            band: curve
                .values
                .iter()
                .filter_map(|(x, _, interval)| {
                    interval.map(|[low, high]| super::chart::Band { x: *x, low, high })
                })
                .collect(),
            ..Series::new(
                &curve.label,
                style,
                curve
                    .values
                    .iter()
                    .map(|&(x, y, _)| Point { x, y })
                    .collect(),
            )
        })
        .collect();
    let ends = series
        .iter()
        .filter_map(|series| {
            let (first, last) = (series.points.first()?, series.points.last()?);
            Some(format!(
                "{} from {:.3e} to {:.3e}",
                series.label, first.y, last.y
            ))
        })
        .collect::<Vec<_>>()
        .join(", ");
    Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        alt: format!("Line chart of {y} against {x}, both logarithmic: {ends}."),
        panels: vec![Panel::Curves(Curves {
            title: String::new(),
            x: Coordinate::new(x, Scale::Log),
            y: Coordinate::new(y, Scale::Log),
            series,
            references: Vec::new(),
        })],
    }
}

/// Paths of optimizers over the level lines of a function of two variables; each path is a name and
/// its points from start to end.
pub fn trajectories(
    name: &str,
    title: &str,
    grid: Grid,
    paths: &[(String, Vec<(f64, f64)>)],
) -> Chart {
    let levels = levels(&grid, 12);
    let ends = paths
        .iter()
        .filter_map(|(label, points)| {
            let (x, y) = points.last()?;
            Some(format!("{label} ends at ({x:.3}, {y:.3})"))
        })
        .collect::<Vec<_>>()
        .join(", ");
    let paths = paths
        .iter()
        .enumerate()
        .map(|(style, (label, points))| {
            let points = points.iter().map(|&(x, y)| Point { x, y }).collect();
            Series::new(label, style, points)
        })
        .collect();
    Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: "Paths from the start over lines of equal function value, spaced evenly in the \
                  logarithm of the height above the lowest value shown; darker is higher."
            .to_owned(),
        alt: format!("Contour plot with paths: {ends}."),
        panels: vec![Panel::Contours(Contours {
            title: String::new(),
            x_label: "x₁".to_owned(),
            y_label: "x₂".to_owned(),
            grid,
            levels,
            paths,
        })],
    }
}

/// A loss surface over two directions.
pub fn surface(name: &str, title: &str, height: &str, grid: Grid) -> Chart {
    Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: format!("{height} over two directions; darker is higher."),
        alt: format!("Surface of {height} over two directions."),
        panels: vec![Panel::Surface(Surface {
            title: String::new(),
            x_label: "first direction".to_owned(),
            y_label: "second direction".to_owned(),
            z_label: height.to_owned(),
            grid,
        })],
    }
}

/// `count` levels between the lowest and the highest value, evenly spaced in the logarithm of the
/// height above the lowest, over three decades.
fn levels(grid: &Grid, count: usize) -> Vec<f64> {
    let values = || {
        grid.values
            .iter()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
    };
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if !(low < high) {
        return Vec::new();
    }
    (0..count)
        .map(|i| low + (high - low) * 10f64.powf(-3.0 * (count - i) as f64 / (count + 1) as f64))
        .collect()
}
