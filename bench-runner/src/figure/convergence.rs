//! Curves of runs over their cost: the median over seeds with a band.

use super::chart::{Band, Chart, Coordinate, Curves, Panel, Point, Reference, Scale, Series};
use super::scale::tick_label;
use crate::run::{CurvePoint, Outcome, RunRecord, SwitchPoint};
use crate::stats;
use crate::store::{ProblemInfo, Results};

/// What a run's progress is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Evaluations of loss and gradient.
    #[serde(rename = "evaluations")]
    GradientEvaluations,
    /// Seconds of training.
    Seconds,
    /// Passes over the training data.
    Epochs,
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::GradientEvaluations, Self::Seconds, Self::Epochs];

    /// Its part of a file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradientEvaluations => "evaluations",
            Self::Seconds => "seconds",
            Self::Epochs => "epochs",
        }
    }

    /// Its label, with the unit.
    pub fn label(self) -> &'static str {
        match self {
            Self::GradientEvaluations => "gradient evaluations",
            Self::Seconds => "training time (s)",
            Self::Epochs => "epochs",
        }
    }

    /// Where a measurement lies on it.
    pub fn of(self, point: &CurvePoint) -> f64 {
        match self {
            Self::GradientEvaluations => point.gradient_evaluations as f64,
            Self::Seconds => point.seconds,
            Self::Epochs => point.epoch,
        }
    }

    /// Where a change of phase lies on it.
    pub fn of_switch(self, switch: &SwitchPoint) -> f64 {
        match self {
            Self::GradientEvaluations => switch.gradient_evaluations as f64,
            Self::Seconds => switch.seconds,
            Self::Epochs => switch.epoch,
        }
    }
}

/// What is measured during a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The training objective.
    Loss,
    /// The mean loss over the test set.
    TestLoss,
    /// The share of test samples classified right.
    Accuracy,
    /// The norm of the last mini-batch gradient.
    GradientNorm,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Loss,
        Self::TestLoss,
        Self::Accuracy,
        Self::GradientNorm,
    ];

    /// Its part of a file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::TestLoss => "test-loss",
            Self::Accuracy => "accuracy",
            Self::GradientNorm => "gradient-norm",
        }
    }

    /// Its label on the given problem, with the unit.
    pub fn label(self, problem: &ProblemInfo) -> String {
        match self {
            Self::Loss => problem.loss_name.clone(),
            Self::TestLoss => "mean loss on the test set".to_owned(),
            Self::Accuracy => "test accuracy".to_owned(),
            Self::GradientNorm => "norm of the mini-batch gradient".to_owned(),
        }
    }

    /// Its value at a measurement, where there is one.
    pub fn of(self, point: &CurvePoint) -> Option<f64> {
        match self {
            Self::Loss => Some(point.loss),
            Self::TestLoss => point.test_loss,
            Self::Accuracy => point.accuracy,
            Self::GradientNorm => point.gradient_norm,
        }
    }

    /// The value that stands for a run that diverged: worse than every other.
    fn worst(self) -> f64 {
        match self {
            Self::Accuracy => 0.0,
            Self::Loss | Self::TestLoss | Self::GradientNorm => f64::INFINITY,
        }
    }

    /// The scale that suits it.
    pub fn scale(self) -> Scale {
        match self {
            Self::Accuracy => Scale::Linear,
            Self::Loss | Self::TestLoss | Self::GradientNorm => Scale::Log,
        }
    }
}

/// The median and the quartiles over runs at one cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
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
pub fn summarize(runs: &[&RunRecord], axis: Axis, metric: Metric, places: usize) -> Vec<Summary> {
    let curves: Vec<(Vec<(f64, f64)>, &Outcome)> = runs
        .iter()
        .map(|run| {
            let points = run
                .curve
                .iter()
                .filter_map(|point| Some((axis.of(point), metric.of(point)?)))
                .filter(|(x, _)| x.is_finite())
                .collect();
            (points, &run.outcome)
        })
        .filter(|(points, _): &(Vec<_>, _)| !points.is_empty())
        .collect();
    let logarithmic = metric.scale() == Scale::Log
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
                    value_at(points, outcome, metric.worst(), x, logarithmic)
                })
                .collect();
            let median = stats::median(&values);
            (!median.is_nan()).then(|| Summary {
                x,
                median,
                low: stats::quantile(&values, 0.25),
                high: stats::quantile(&values, 0.75),
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

/// The curves of all optimizers on one problem: medians over seeds, quartile bands, and a diamond at
/// each optimizer's median first change of phase.
pub fn convergence(results: &Results, problem: &ProblemInfo, axis: Axis, metric: Metric) -> Chart {
    let panel = panel(results, problem, axis, metric);
    let caption = format!(
        "{} against {}. {}",
        capitalized(&panel.y.label),
        axis.label(),
        reading(results, problem)
    );
    Chart {
        name: format!(
            "{}-{}-{}",
            file_stem(&problem.label),
            metric.name(),
            axis.name()
        ),
        title: problem.title.clone(),
        alt: alt(problem, axis, metric, &panel),
        caption,
        panels: vec![Panel::Curves(panel)],
        size: None,
    }
}

/// Several metrics of one problem side by side over one axis; those of [`Metric::Loss`] and
/// [`Metric::Accuracy`] over epochs are what the authors of FUSE draw. `None` when one was not
/// measured.
pub fn side_by_side(
    results: &Results,
    problem: &ProblemInfo,
    metrics: &[Metric],
    axis: Axis,
) -> Option<Chart> {
    let measured = |metric: &Metric| {
        let mut runs = results.records.iter();
        runs.any(|run| {
            run.cell.problem == problem.label
                && run.curve.iter().any(|point| metric.of(point).is_some())
        })
    };
    if !metrics.iter().all(measured) {
        return None;
    }
    let panels: Vec<Curves> = metrics
        .iter()
        .map(|&metric| panel(results, problem, axis, metric))
        .collect();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name()).collect();
    let alt = panels
        .iter()
        .zip(metrics)
        .map(|(panel, &metric)| alt(problem, axis, metric, panel))
        .collect::<Vec<_>>();
    let labels: Vec<String> = metrics.iter().map(|metric| metric.label(problem)).collect();
    Some(Chart {
        name: format!(
            "{}-{}-{}",
            file_stem(&problem.label),
            names.join("-"),
            axis.name()
        ),
        title: problem.title.clone(),
        caption: format!(
            "From left to right: {}, against {}. {}",
            labels.join(", "),
            axis.label(),
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
    axis: Axis,
    metric: Metric,
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
        .zip(&panels)
        .map(|(problem, panel)| alt(problem, axis, metric, panel))
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
        title: format!("{} against {}", capitalized(&label), axis.label()),
        caption: readings.join(" "),
        alt: alt.join(" "),
        panels: panels.into_iter().map(Panel::Curves).collect(),
        size: None,
    }
}

fn panel(results: &Results, problem: &ProblemInfo, axis: Axis, metric: Metric) -> Curves {
    const PLACES: usize = 100;
    let mut start = f64::NEG_INFINITY;
    let mut series = Vec::new();
    for (style, optimizer) in results.optimizers.iter().enumerate() {
        let runs: Vec<&RunRecord> = results.runs(&problem.label, &optimizer.label).collect();
        if runs.is_empty() {
            continue;
        }
        let summary = summarize(&runs, axis, metric, PLACES);
        start = summary
            .first()
            .map_or(start, |first| start.max(finite_or(first.median, start)));
        series.push(Series {
            label: optimizer.label.clone(),
            style,
            marks: switch_mark(&runs, axis, &summary).into_iter().collect(),
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
    }
    let mut y = Coordinate::new(metric.label(problem), metric.scale());
    // A log axis would hide what lies below zero; zero itself may be left out.
    // Rounding may leave a function a little below its minimum: that is zero.
    let rounding = -1e-12 * start.abs().max(1.0);
    let negative = |series: &Series| series.points.iter().any(|point| point.y < rounding);
    if series.iter().any(negative) {
        y.scale = Scale::Linear;
    }
    let references = match (metric, problem.target) {
        (Metric::Loss, Some(target)) => vec![Reference {
            y: target,
            label: format!("target {}", tick_label(target, target)),
        }],
        _ => Vec::new(),
    };
    cap(&mut y, &series, &references, start);
    Curves {
        title: String::new(),
        x: Coordinate::new(axis.label(), Scale::Linear),
        y,
        series,
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
            .filter(|value| value.is_finite() && (y.scale == Scale::Linear || *value > 0.0))
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

/// The median place of the first change of phase, on the median curve.
fn switch_mark(runs: &[&RunRecord], axis: Axis, summary: &[Summary]) -> Option<Point> {
    let first: Vec<f64> = runs
        .iter()
        .filter_map(|run| run.switches.first())
        .map(|switch| axis.of_switch(switch))
        .collect();
    let x = stats::median(&first);
    let after = summary.partition_point(|at| at.x < x);
    let right = summary.get(after)?;
    let y = match after.checked_sub(1).and_then(|before| summary.get(before)) {
        Some(left) if right.x > left.x && left.median > 0.0 && right.median > 0.0 => {
            let share = (x - left.x) / (right.x - left.x);
            (left.median.ln() + share * (right.median.ln() - left.median.ln())).exp()
        }
        _ => right.median,
    };
    (x.is_finite() && y.is_finite()).then_some(Point { x, y })
}

/// How to read the curves, and what is not visible in them.
fn reading(results: &Results, problem: &ProblemInfo) -> String {
    let runs: Vec<&RunRecord> = results
        .records
        .iter()
        .filter(|run| run.cell.problem == problem.label)
        .collect();
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

fn alt(problem: &ProblemInfo, axis: Axis, metric: Metric, panel: &Curves) -> String {
    let ends: Vec<String> = panel
        .series
        .iter()
        .map(|series| match series.points.last() {
            Some(last) if last.y.is_finite() => format!("{} {:.3e}", series.label, last.y),
            _ => format!("{} no finite value", series.label),
        })
        .collect();
    format!(
        "Line chart of {} against {} on {}. Last median values: {}.",
        metric.label(problem),
        axis.label(),
        problem.title,
        if ends.is_empty() {
            "none".to_owned()
        } else {
            ends.join(", ")
        }
    )
}

/// A label as a file name: letters, digits, dots and dashes.
pub(crate) fn file_stem(label: &str) -> String {
    label
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' || c == '-' {
                c
            } else {
                '-'
            }
        })
        .collect()
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
