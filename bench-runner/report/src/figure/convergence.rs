//! Curves of runs over their cost: the median over seeds with a band.

use bench_analysis::switching::unswitched_of;
use bench_analysis::{Quantity, counted, curve};
use bench_experiment::run::RunRecord;
use bench_experiment::store::{ProblemInfo, Results};

use super::chart::{AxisScale, Band, Chart, Coordinate, Curves, Panel, Point, Reference, Series};
use super::family::multiples;
use super::style::styles;
use crate::name::of_problem;
use crate::number;

/// The curves of all optimizers on one problem: medians over seeds, quartile bands, and a diamond at
/// each optimizer's median first change of phase.
pub fn convergence(
    results: &Results,
    problem: &ProblemInfo,
    axis: Quantity,
    metric: Quantity,
) -> Chart {
    let panel = panel(results, problem, axis, metric);
    let caption = format!(
        "{} against {}. {}",
        capitalized(&panel.y.label),
        axis.title(),
        reading(results, problem)
    );
    Chart {
        name: format!(
            "{}-{}-{}",
            of_problem(results, &problem.label),
            metric.name(),
            axis.name()
        ),
        title: problem.title.clone(),
        alt: alt(results, problem, axis, metric),
        caption,
        panels: multiples(panel),
        size: None,
    }
}

/// Several metrics of one problem side by side over one axis; those of [`Quantity::Loss`] and
/// [`Quantity::Accuracy`] over epochs are what the authors of FUSE draw. `None` when one was not
/// measured.
pub fn side_by_side(
    results: &Results,
    problem: &ProblemInfo,
    metrics: &[Quantity],
    axis: Quantity,
) -> Option<Chart> {
    let measured = |metric: &Quantity| counted::is_measured(results, &problem.label, *metric);
    if !metrics.iter().all(measured) {
        return None;
    }
    let panels: Vec<Curves> = metrics
        .iter()
        .map(|&metric| panel(results, problem, axis, metric))
        .collect();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
    let alt = metrics
        .iter()
        .map(|&metric| alt(results, problem, axis, metric))
        .collect::<Vec<_>>();
    let labels: Vec<String> = metrics.iter().map(|metric| metric.label(problem)).collect();
    Some(Chart {
        name: format!(
            "{}-{}-{}",
            of_problem(results, &problem.label),
            names.join("-"),
            axis.name()
        ),
        title: problem.title.clone(),
        caption: format!(
            "From left to right: {}, against {}. {}",
            labels.join(", "),
            axis.title(),
            reading(results, problem)
        ),
        alt: alt.join(" "),
        panels: panels.into_iter().map(Panel::Curves).collect(),
        size: None,
    })
}

/// One metric on several problems, a panel each.
pub fn problems_side_by_side(
    results: &Results,
    problems: &[&ProblemInfo],
    axis: Quantity,
    metric: Quantity,
) -> Chart {
    let panels: Vec<Curves> = problems
        .iter()
        .map(|problem| Curves {
            title: problem.title.clone(),
            ..panel(results, problem, axis, metric)
        })
        .collect();
    let alt: Vec<String> = problems
        .iter()
        .map(|problem| alt(results, problem, axis, metric))
        .collect();
    let mut readings: Vec<String> = Vec::new();
    for problem in problems {
        let reading = reading(results, problem);
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    let label = problems
        .first()
        .map_or_else(|| metric.name().to_owned(), |problem| metric.label(problem));
    Chart {
        name: format!("{}-{}", metric.name(), axis.name()),
        title: format!("{} against {}", capitalized(&label), axis.title()),
        caption: readings.join(" "),
        alt: alt.join(" "),
        panels: panels.into_iter().map(Panel::Curves).collect(),
        size: None,
    }
}

fn panel(results: &Results, problem: &ProblemInfo, axis: Quantity, metric: Quantity) -> Curves {
    const PLACES: usize = 100;
    let mut start = f64::NEG_INFINITY;
    let mut series = Vec::new();
    let mut switches = Vec::new();
    for (optimizer, style) in results.optimizers.iter().zip(styles_of(results)) {
        let runs: Vec<&RunRecord> = results.runs(&problem.label, &optimizer.label).collect();
        if runs.is_empty() || unswitched_of(results, &problem.label, &optimizer.label).is_some() {
            continue;
        }
        let summary = curve::summarize(&runs, axis, metric, PLACES);
        start = summary
            .first()
            .map_or(start, |first| start.max(finite_or(first.median, start)));
        series.push(Series {
            label: optimizer.label.clone(),
            style,
            marks: Vec::new(),
            points: summary
                .iter()
                .map(|at| Point {
                    x: at.x,
                    y: at.median,
                })
                .collect(),
            band: if runs.len() > 1 {
                summary
                    .iter()
                    .map(|at| Band {
                        x: at.x,
                        low: at.low,
                        high: at.high,
                    })
                    .collect()
            } else {
                Vec::new()
            },
            joint: Default::default(),
        });
        switches.push((curve::first_switch(&runs, axis), summary));
    }
    let mut y = Coordinate::new(metric.label(problem), scale(metric));
    // A log axis would hide what lies below zero; zero itself may be left out.
    // Rounding may leave a function a little below its minimum: that is zero.
    let rounding = -1e-12 * start.abs().max(1.0);
    let negative = |series: &Series| series.points.iter().any(|point| point.y < rounding);
    if series.iter().any(negative) {
        y.scale = AxisScale::Linear;
    }
    // The lines between the points are straight on the axis as it is drawn.
    for (series, (x, summary)) in series.iter_mut().zip(&switches) {
        let height = curve::height_at(*x, summary, y.scale == AxisScale::Log);
        series.marks = height.map(|y| Point { x: *x, y }).into_iter().collect();
    }
    let references = match (metric, problem.target) {
        (Quantity::Loss, Some(target)) => vec![Reference {
            y: target,
            label: format!("target {}", number::exact(target)),
        }],
        _ => Vec::new(),
    };
    cap(&mut y, &series, &references, start);
    Curves {
        title: String::new(),
        x: Coordinate::new(axis.title(), AxisScale::Linear),
        y,
        series,
        context: Vec::new(),
        references,
    }
}

fn finite_or(value: f64, other: f64) -> f64 {
    if value.is_finite() { value } else { other }
}

/// Keeps curves that grow without bounds from flattening all others: the axis ends at a thousand
/// times the largest value at the start.
fn cap(y: &mut Coordinate, series: &[Series], references: &[Reference], start: f64) {
    let values = || {
        series
            .iter()
            .flat_map(|series| series.points.iter().map(|point| point.y))
            .filter(|value| value.is_finite() && (y.scale == AxisScale::Linear || *value > 0.0))
    };
    let highest = values().fold(f64::NEG_INFINITY, f64::max);
    let limit = 1e3 * start;
    if start > 0.0 && highest > limit {
        let lowest = values()
            .chain(references.iter().map(|reference| reference.y))
            .fold(f64::INFINITY, f64::min);
        y.bounds = Some([0.5 * lowest.min(start), limit]);
    }
}

/// How to read the curves, and what is not visible in them.
fn reading(results: &Results, problem: &ProblemInfo) -> String {
    let runs: Vec<&RunRecord> = results.runs_on(&problem.label).collect();
    let mut seeds: Vec<u64> = runs.iter().map(|run| run.cell.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let mut text = match seeds.len() {
        0 => "No runs.".to_owned(),
        1 => "Lines are single runs.".to_owned(),
        n => format!(
            "Lines are medians over {n} seeds, bands reach from the lower to the upper quartile."
        ),
    };
    if runs.iter().any(|run| !run.switches.is_empty()) {
        text.push_str(" A hollow diamond marks the median first change of phase.");
    }
    for optimizer in &results.optimizers {
        if let Some(other) = unswitched_of(results, &problem.label, &optimizer.label) {
            text.push_str(&format!(
                " {} never switched: its curve is that of {other} and is not drawn.",
                optimizer.label
            ));
        }
    }
    let count = |label: &str| {
        runs.iter()
            .filter(|run| run.outcome.label() == label)
            .count()
    };
    let (diverged, failed, interrupted) =
        (count("diverged"), count("failed"), count("interrupted"));
    if diverged + failed > 0 {
        text.push_str(&format!(
            " {} of {} runs diverged or failed; from there on they count as worse than every other.",
            diverged + failed,
            runs.len()
        ));
    }
    if interrupted > 0 {
        text.push_str(&format!(
            " {interrupted} runs were interrupted and count as far as they got."
        ));
    }
    text
}

/// The chart in words, with the last values as the tables have them.
fn alt(results: &Results, problem: &ProblemInfo, axis: Quantity, metric: Quantity) -> String {
    let text = match metric {
        Quantity::Accuracy => number::percent,
        _ => number::short,
    };
    let ends: Vec<String> = results
        .optimizers
        .iter()
        .filter_map(|optimizer| {
            let runs = counted::runs(results, &problem.label, &optimizer.label);
            let last: Vec<f64> = runs.filter_map(|run| counted::last(run, metric)).collect();
            let median = bench_stats::median(&last);
            (!last.is_empty()).then(|| format!("{} {}", optimizer.label, text(median)))
        })
        .collect();
    format!(
        "Line chart of {} against {} on {}. Last median values: {}.",
        metric.label(problem),
        axis.title(),
        problem.title,
        if ends.is_empty() {
            "none".to_owned()
        } else {
            ends.join(", ")
        }
    )
}

/// The series numbers of all optimizers.
pub fn styles_of(results: &Results) -> Vec<usize> {
    let labels: Vec<&str> = results
        .optimizers
        .iter()
        .map(|o| o.label.as_str())
        .collect();
    styles(&labels)
}

/// The scale that suits a quantity.
pub fn scale(quantity: Quantity) -> AxisScale {
    if quantity.is_logarithmic() {
        AxisScale::Log
    } else {
        AxisScale::Linear
    }
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // A formula such as f(x) keeps its letters.
        (Some(first), Some(second)) if second.is_alphabetic() => {
            first.to_uppercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
