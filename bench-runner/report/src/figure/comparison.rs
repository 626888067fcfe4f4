//! Charts that compare optimizers: evaluations to target, profiles, rankings, effects, costs.

use bench_analysis::pairs::methods;
use bench_analysis::{counted, profile};
use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::Ecdf;

use super::chart::{
    AxisScale, Chart, Contours, Coordinate, Curves, Field, Grid, Interval, Intervals, Joint, Panel,
    Point, Series, Surface,
};
use super::convergence::{capitalized, styles_of};
use super::family::multiples;
use super::style::styles;
use crate::name::of_problem;
use crate::number;

/// Evaluations to the problem's target, per optimizer the share of runs that have reached it: the
/// empirical distribution function of the run time. `None` when the problem has no target.
pub fn evaluations_to_target(results: &Results, problem: &ProblemInfo) -> Option<Chart> {
    let target = problem.target?;
    let series: Vec<(String, usize, Vec<f64>)> = results
        .optimizers
        .iter()
        .zip(styles_of(results))
        .map(|(optimizer, style)| {
            let costs = counted::costs(results, &problem.label, &optimizer.label, target);
            (optimizer.label.clone(), style, costs)
        })
        .filter(|(_, _, costs): &(_, _, Vec<f64>)| !costs.is_empty())
        .collect();
    let reached = reached(series.iter().map(|(label, _, costs)| (label, costs)));
    let end = problem.budget as f64;
    Some(Chart {
        name: format!("{}-to-target", of_problem(results, &problem.label)),
        title: problem.title.clone(),
        caption: format!(
            "Share of runs that have reached a loss of at most {} after the given number of gradient \
             evaluations. A curve that ends below 1 says that not all runs got there within the budget.",
            number::exact(target)
        ),
        alt: format!(
            "Step curves of the share of runs that reached the target. Reached: {reached}."
        ),
        panels: multiples(Curves {
            title: String::new(),
            x: Coordinate::new("gradient evaluations", AxisScale::Linear).within(0.0, 1.04 * end),
            y: Coordinate::new("share of runs at target", AxisScale::Linear).within(0.0, 1.04),
            series: distribution(series, 0.0, end),
            context: Vec::new(),
            references: Vec::new(),
        }),
        size: None,
    })
}

/// The run-time distribution: for each method the share of its runs and targets, ten to a problem, that are
/// reached; over all problems, and over each group where there are several. `None` when no run improved on its
/// start.
pub fn run_time_distribution(results: &Results) -> Option<Chart> {
    let methods = methods(results);
    let names: Vec<String> = methods.iter().map(|(name, _)| name.clone()).collect();
    let styles = styles(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let budgets = results.problems.iter().map(|problem| problem.budget as f64);
    let end = budgets.fold(10.0, f64::max);
    let costs = profile::costs_over_ladders(results, &methods);
    // Of each method its costs on all problems of a group.
    let joined = |of_group: &dyn Fn(&ProblemInfo) -> bool| -> Vec<Vec<f64>> {
        let own = || costs.iter().filter(|(problem, _)| of_group(problem));
        let of_method = |method: usize| own().flat_map(move |(_, costs)| &costs[method]).copied();
        (0..names.len())
            .map(|method| of_method(method).collect())
            .collect()
    };
    let panel = |title: String, costs: Vec<Vec<f64>>| {
        let named = names.iter().zip(&styles).zip(costs);
        let named = named.map(|((name, style), costs)| (name.clone(), *style, costs));
        let series = named.filter(|(_, _, costs)| !costs.is_empty()).collect();
        Curves {
            title,
            x: Coordinate::new("gradient evaluations", AxisScale::Log).within(1.0, 1.3 * end),
            y: Coordinate::new("share of targets reached", AxisScale::Linear).within(0.0, 1.04),
            series: distribution(series, 1.0, end),
            context: Vec::new(),
            references: Vec::new(),
        }
    };
    let all = joined(&|_| true);
    if all.iter().all(Vec::is_empty) {
        return None;
    }
    let reached = reached(names.iter().zip(&all));
    let mut caption = format!(
        "Empirical distribution of the evaluations to ten targets for each of {} problems, over all runs. The \
         targets leave from a tenth to 1e-8 of the gap between the loss at the start and the lowest one that any \
         method found. A curve that ends below 1 says that not all targets were reached within the budget.",
        costs.len()
    );
    if methods.len() < results.optimizers.len() {
        caption += " A method stands for its best trial on each problem.";
    }
    let mut panels = Vec::new();
    let groups = groups(&results.problems);
    if groups.len() > 1 {
        for group in groups {
            let is_own = |problem: &ProblemInfo| problem.config.group().as_ref() == Some(&group);
            let count = costs.iter().filter(|(problem, _)| is_own(problem)).count();
            let title = format!("{} ({count})", capitalized(&group));
            panels.push(Panel::Curves(panel(title, joined(&is_own))));
        }
        let title = format!("All ({})", costs.len());
        panels.push(Panel::Curves(panel(title, all)));
        caption += " In brackets: problems.";
    } else {
        panels = multiples(panel(String::new(), all));
    }
    Some(Chart {
        name: "run-time-distribution".to_owned(),
        title: "Share of targets reached".to_owned(),
        caption,
        alt: format!("Step curves of the share of targets reached. Reached: {reached}."),
        panels,
        size: None,
    })
}

/// The groups that problems belong to, each once, in order.
fn groups(problems: &[ProblemInfo]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for group in problems.iter().filter_map(|problem| problem.config.group()) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// The name of the performance profile.
pub const PROFILE: &str = "performance-profile";

/// The performance profile (Dolan and Moré 2002) over problems with a target: for each optimizer the
/// share of problems on which its median cost to the target is at most τ times the best one's.
/// `None` with fewer than two such problems.
pub fn performance_profile(results: &Results) -> Option<Chart> {
    let profile::Performance {
        problems,
        costs,
        profiles,
    } = profile::performance(results)?;
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
        .zip(styles_of(results))
        .map(|((optimizer, steps), style)| staircase(&optimizer.label, style, steps, 1.0, end))
        .collect();
    let labels = results.optimizers.iter().map(|optimizer| &optimizer.label);
    let solved = reached(labels.zip(&costs));
    Some(Chart {
        name: PROFILE.to_owned(),
        title: "Performance profile".to_owned(),
        caption: format!(
            "Share of the {} problems with a target on which the median cost to the target is at most τ \
             times the lowest one. The value at τ = 1 is the share of problems won, the right end the \
             share solved within the budget.",
            problems
        ),
        alt: format!("Step curves of the performance profile. Problems solved: {solved}."),
        panels: multiples(Curves {
            title: String::new(),
            x: Coordinate::new("τ, cost relative to the best", AxisScale::Log).within(1.0, end),
            y: Coordinate::new("share of problems", AxisScale::Linear).within(0.0, 1.04),
            series,
            context: Vec::new(),
            references: Vec::new(),
        }),
        size: None,
    })
}

/// For each label how many of its costs are finite, in words.
fn reached<'a>(costs: impl Iterator<Item = (&'a String, &'a Vec<f64>)>) -> String {
    costs
        .map(|(label, costs)| {
            let count = costs.iter().filter(|cost| cost.is_finite()).count();
            format!("{label} {count} of {}", costs.len())
        })
        .collect::<Vec<_>>()
        .join(", ")
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
            x: Coordinate::new(quantity, AxisScale::Linear),
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
        size: None,
    }
}

/// A named curve with an optional interval, for [`cost`] and [`sensitivity`](super::sensitivity()).
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name.
    pub label: String,
    /// Its values: x, estimate, and the interval's ends where there is one.
    pub values: Vec<(f64, f64, Option<[f64; 2]>)>,
}

/// The cost of one step against a size such as the dimension or the history.
pub fn cost(name: &str, title: &str, size: &str, unit: &str, curves: &[Curve]) -> Chart {
    let caption = format!(
        "{} of one step against {size}, counted. Both axes are logarithmic: a straight line of slope p is \
         a cost that grows as the p-th power of the size.",
        capitalized(unit)
    );
    log_log(name, title, size, unit, &caption, curves)
}

pub(super) fn log_log(
    name: &str,
    title: &str,
    x: &str,
    y: &str,
    caption: &str,
    curves: &[Curve],
) -> Chart {
    let labels: Vec<&str> = curves.iter().map(|curve| curve.label.as_str()).collect();
    let series: Vec<Series> = curves
        .iter()
        .zip(styles(&labels))
        .map(|(curve, style)| Series {
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
                "{} from {} to {}",
                series.label,
                number::short(first.y),
                number::short(last.y)
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
            x: Coordinate::new(x, AxisScale::Log),
            y: Coordinate::new(y, AxisScale::Log),
            series,
            context: Vec::new(),
            references: Vec::new(),
        })],
        size: None,
    }
}

/// Paths of optimizers over the level lines of a function of two variables, from start to end.
pub fn trajectories(name: &str, title: &str, grid: Grid, paths: Vec<Series>) -> Chart {
    let levels = levels(&grid, 12);
    let ends = paths
        .iter()
        .filter_map(|path| {
            let end = path.points.last()?;
            Some(format!(
                "{} ends at ({:.3}, {:.3})",
                path.label, end.x, end.y
            ))
        })
        .collect::<Vec<_>>()
        .join(", ");
    let marked = if paths.iter().any(|path| !path.marks.is_empty()) {
        " A hollow diamond marks the first change of phase."
    } else {
        ""
    };
    Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: format!(
            "Paths from the start over lines of equal function value, spaced evenly in the logarithm of \
             the height above the lowest value shown; darker is higher.{marked}"
        ),
        alt: format!("Contour plot with paths: {ends}."),
        panels: vec![Panel::Contours(Contours {
            title: String::new(),
            x_label: "x₁".to_owned(),
            y_label: "x₂".to_owned(),
            grid,
            levels,
            paths,
        })],
        size: None,
    }
}

/// A loss surface over two directions.
pub fn surface(name: &str, title: &str, height: &str, grid: Grid) -> Chart {
    Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: format!(
            "{} over two random directions, normalised filter by filter (Li et al. 2018); the trained \
             network is at (0, 0); darker is higher.",
            capitalized(height)
        ),
        alt: format!("Surface of {height} over two directions."),
        panels: vec![Panel::Surface(Surface {
            title: String::new(),
            x_label: "first direction".to_owned(),
            y_label: "second direction".to_owned(),
            z_label: height.to_owned(),
            grid,
        })],
        size: None,
    }
}

/// Functions of x and t side by side, in the colours of the first: what each should be, and what it is.
pub fn fields(name: &str, title: &str, panels: Vec<(String, Grid)>) -> Chart {
    let first = panels.first().map(|(_, grid)| grid.values.iter().flatten());
    let values = || first.clone().into_iter().flatten().copied();
    let bounds = [
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    ];
    let labels: Vec<&str> = panels.iter().map(|(label, _)| label.as_str()).collect();
    Chart {
        name: name.to_owned(),
        title: title.to_owned(),
        caption: "u over x and t: the solution, and what each method leaves after its budget. All have the \
                  solution's colours; what lies beyond its values has the nearest."
            .to_owned(),
        alt: format!("Colour maps of u over x and t: {}.", labels.join(", ")),
        panels: panels
            .into_iter()
            .map(|(title, grid)| {
                Panel::Field(Field {
                    title,
                    x_label: "t".to_owned(),
                    y_label: "x".to_owned(),
                    value_label: "u".to_owned(),
                    grid,
                    bounds,
                })
            })
            .collect(),
        size: None,
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
