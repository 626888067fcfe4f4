//! What the page's script works with: curves and runs as compact JSON.

use bench_analysis::curve::{self, CurveSummary};
use bench_analysis::summary::{Row, Spread};
use bench_analysis::switching::unswitched_of;
use bench_analysis::{Quantity, counted};
use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::run::{Outcome, RunRecord};
use bench_experiment::store::{OptimizerInfo, ProblemInfo, Results};
use serde::Serialize;
use serde_json::{Value, json};

use crate::contents::is_thinned;
use crate::csv;
use crate::figure::{self, AxisScale};
use crate::number;

/// Places per curve; a screen shows no more.
pub(crate) const PLACES: usize = 48;
/// Places per curve where there are many problems.
const FEW_PLACES: usize = 12;
/// Measurements of single runs in the whole page; many runs get fewer each.
const MEASUREMENTS: usize = 40_000;

/// Digits of a run's digest that name it.
const DIGITS: usize = 16;

/// What all problems share.
#[derive(Serialize)]
pub(super) struct Common<'a> {
    optimizers: Vec<&'a str>,
    /// Per optimizer: its settings and the problems that they are for; all when there are none.
    settings: Vec<Vec<(String, &'a [String])>>,
    /// Per optimizer the name of its criterion.
    criteria: Vec<String>,
    problems: Vec<&'a str>,
    titles: Vec<&'a str>,
    problem_settings: Vec<String>,
    /// Per problem the suite that it was run in.
    arms: Vec<&'a str>,
    axes: Vec<Choice>,
    /// Per problem whether it has a target, and of each optimizer that ran its number, the median final loss and the
    /// median cost to the target; infinities are null.
    has_target: Vec<bool>,
    medians: Vec<Vec<(usize, Value, Value)>>,
    /// Per optimizer its family, and how many curves a chart shows before families get charts of their own.
    families: Vec<String>,
    most: usize,
    /// Per optimizer the number of its series: colour and dash.
    styles: Vec<usize>,
    palette: &'static [&'static str],
    dashes: &'static [(u32, u32)],
}

#[derive(Serialize)]
struct Choice {
    name: &'static str,
    label: &'static str,
}

pub(super) fn common<'a>(results: &'a Results, rows: &[Row]) -> Common<'a> {
    let labels: Vec<&str> = results
        .optimizers
        .iter()
        .map(|o| o.label.as_str())
        .collect();
    Common {
        has_target: results
            .problems
            .iter()
            .map(|p| p.target.is_some())
            .collect(),
        medians: results
            .problems
            .iter()
            .map(|problem| medians(results, problem, rows))
            .collect(),
        families: figure::families(&labels),
        most: figure::MOST,
        optimizers: labels,
        settings: results
            .optimizers
            .iter()
            .map(|o| {
                if o.is_imported() {
                    return vec![(o.settings.clone(), [].as_slice())];
                }
                let variants = o.variants.iter();
                variants
                    .map(|variant| (changes(&variant.config), variant.problems.as_slice()))
                    .collect()
            })
            .collect(),
        criteria: results.optimizers.iter().map(criterion).collect(),
        problems: results.problems.iter().map(|p| p.label.as_str()).collect(),
        titles: results.problems.iter().map(|p| p.title.as_str()).collect(),
        problem_settings: results.problems.iter().map(problem_settings).collect(),
        arms: results.problems.iter().map(|p| p.suite.as_str()).collect(),
        axes: axes(results)
            .into_iter()
            .map(|axis| Choice {
                name: axis.name(),
                label: axis.title(),
            })
            .collect(),
        styles: figure::styles_of(results),
        palette: &figure::PALETTE,
        dashes: &figure::DASHES,
    }
}

/// Of each optimizer on a problem its number, median final loss and median cost to the target.
fn medians(results: &Results, problem: &ProblemInfo, rows: &[Row]) -> Vec<(usize, Value, Value)> {
    let number = |spread: Option<Spread>| json!(spread.map(|spread| spread.median));
    let own = rows.iter().filter(|row| row.problem == problem.label);
    let of_row = |row: &Row| {
        let mut optimizers = results.optimizers.iter();
        let index = optimizers.position(|own| own.label == row.optimizer)?;
        Some((index, number(row.loss), number(row.to_target)))
    };
    own.filter_map(of_row).collect()
}

/// The kind of an optimizer and the settings that differ from the kind's own, in one line.
fn changes(config: &OptimizerConfig) -> String {
    let json = |config: &OptimizerConfig| serde_json::to_value(config).unwrap_or_default();
    let defaults = serde_json::from_value(json!({ "kind": config.kind() }));
    let defaults = defaults.map_or(Value::Null, |defaults| json(&defaults));
    let mut parts = vec![config.kind().to_owned()];
    collect_changes("", &json(config), &defaults, &mut parts);
    if parts.len() == 1 {
        parts.push("all settings as they are by default".to_owned());
    }
    parts.join(", ")
}

fn collect_changes(path: &str, own: &Value, default: &Value, parts: &mut Vec<String>) {
    match own {
        _ if own == default => {}
        Value::Object(settings) if path.is_empty() || default.is_object() => {
            for (key, value) in settings
                .iter()
                .filter(|(key, _)| *key != "kind" || !path.is_empty())
            {
                let path = [path, key].join(if path.is_empty() { "" } else { "." });
                collect_changes(&path, value, &default[key], parts);
            }
        }
        _ => parts.push(format!("{path} = {own}")),
    }
}

/// The name of an optimizer's switch criterion, or that it has none, or that nobody here knows.
fn criterion(optimizer: &OptimizerInfo) -> String {
    if optimizer.is_imported() {
        return "imported".to_owned();
    }
    let mut criteria = optimizer.variants.iter();
    criteria
        .find_map(|variant| variant.config.criterion())
        .map_or_else(|| "no criterion".to_owned(), ToString::to_string)
}

/// The names of the criteria, each once, in order.
pub(super) fn criteria(results: &Results) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in results.optimizers.iter().map(criterion) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The suites of the problems, each once, in order.
pub(super) fn arms(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = results.problems.iter().map(|p| p.suite.as_str()).collect();
    names.dedup();
    names
}

/// The settings of a problem in one line.
fn problem_settings(problem: &ProblemInfo) -> String {
    let settings = match toml::Value::try_from(&problem.config) {
        Ok(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    };
    let parts: Vec<String> = settings
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!(
        "{}; budget {} evaluations",
        parts.join(", "),
        problem.budget
    )
}

/// The curves of one problem: per metric, optimizer and axis the median with its quartiles, as
/// columns; infinities are null.
pub(super) fn curves(results: &Results, problem: &ProblemInfo) -> Value {
    let groups: Vec<(usize, Vec<&RunRecord>)> = results
        .optimizers
        .iter()
        .enumerate()
        .map(|(index, optimizer)| {
            (
                index,
                results.runs(&problem.label, &optimizer.label).collect(),
            )
        })
        .filter(|(_, runs): &(usize, Vec<_>)| !runs.is_empty())
        .collect();
    let places = if is_thinned(results) {
        FEW_PLACES
    } else {
        PLACES
    };
    let metrics: Vec<Value> = Quantity::REACHED
        .into_iter()
        .filter(|&metric| counted::is_measured(results, &problem.label, metric))
        .map(|metric| {
            let target = problem.target.filter(|_| metric == Quantity::Loss);
            let series: Vec<Value> = groups
                .iter()
                .map(|(index, runs)| {
                    let label = &results.optimizers[*index].label;
                    if let Some(other) = unswitched_of(results, &problem.label, label) {
                        return json!({ "optimizer": index, "equals": other });
                    }
                    let axes: Vec<Value> = axes(results)
                        .into_iter()
                        .map(|axis| columns(runs, axis, metric, places))
                        .collect();
                    json!({ "optimizer": index, "runs": runs.len(), "axes": axes })
                })
                .collect();
            json!({
                "name": metric.name(),
                "label": metric.label(problem),
                "log": figure::scale(metric) == AxisScale::Log,
                "target": target,
                "targetText": target.map(number::exact),
                "series": series,
            })
        })
        .collect();
    json!({ "title": problem.title, "metrics": metrics })
}

/// What curves can be drawn against.
fn axes(results: &Results) -> Vec<Quantity> {
    let mut axes = Quantity::AXES.to_vec();
    if is_thinned(results) {
        axes.retain(|axis| !matches!(axis, Quantity::Epoch | Quantity::Seconds));
    }
    axes
}

/// The curve of some runs, as columns.
pub(crate) fn columns(
    runs: &[&RunRecord],
    axis: Quantity,
    metric: Quantity,
    places: usize,
) -> Value {
    let summary = curve::summarize(runs, axis, metric, places);
    let column = |value: &dyn Fn(&CurveSummary) -> f64| -> Vec<Value> {
        summary.iter().map(|at| rounded(value(at))).collect()
    };
    json!({
        "x": column(&|at| at.x),
        "median": column(&|at| at.median),
        "low": column(&|at| at.low),
        "high": column(&|at| at.high),
        "switch": rounded(curve::first_switch(runs, axis)),
    })
}

/// Why a run ended as it did, in words.
pub(crate) fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed { reason } | Outcome::Failed { reason } => reason.clone(),
        Outcome::Diverged { step, value } => format!("loss {value} at step {step}"),
        Outcome::Interrupted => "stopped by the user".to_owned(),
    }
}

/// All runs, in the order of the results.
pub(super) fn runs(results: &Results) -> Vec<Value> {
    let places = (MEASUREMENTS / results.records.len().max(1)).clamp(8, 60);
    let problem = |label: &str| results.problems.iter().position(|p| p.label == label);
    let optimizer = |label: &str| results.optimizers.iter().position(|o| o.label == label);
    results
        .records
        .iter()
        .map(|run| {
            let last = run.last();
            let switches: Vec<Value> = run
                .switches
                .iter()
                .map(|switch| {
                    json!([
                        switch.step,
                        rounded(switch.epoch),
                        switch.gradient_evaluations,
                        rounded(switch.seconds),
                        switch.to,
                    ])
                })
                .collect();
            json!({
                "p": problem(&run.cell.problem),
                "o": optimizer(&run.cell.optimizer),
                "seed": run.cell.seed,
                // Imported runs have none: they cannot be made again here.
                "digest": (!results.is_imported(run)).then(|| run.digest()[..DIGITS].to_owned()),
                "outcome": run.outcome.label(),
                "reason": reason(&run.outcome),
                "steps": csv::steps(run),
                "epochs": last.map(|last| rounded(last.epoch)),
                "evaluations": run.counts.gradient_evaluations,
                "extra": run.counts.loss_evaluations,
                "seconds": rounded(run.seconds),
                "loss": last.map(|last| rounded(last.loss)),
                "accuracy": last.and_then(|last| last.accuracy).map(rounded),
                "switches": switches,
                "pairs": [run.pairs.stored, run.pairs.skipped, run.pairs.damped],
                "seen": seen(run, places),
                "curve": thinned(run, places),
            })
        })
        .collect()
}

/// What the criterion saw: gradient evaluations, values, and the threshold; null where it was not asked
/// at any measurement.
fn seen(run: &RunRecord, places: usize) -> Value {
    let asked: Vec<(u64, f64, f64)> = run
        .curve
        .iter()
        .filter_map(|point| {
            Some((
                point.gradient_evaluations,
                point.criterion?,
                point.threshold?,
            ))
        })
        .collect();
    let Some(&(_, _, threshold)) = asked.last() else {
        return Value::Null;
    };
    let chosen = chosen(asked.len(), places);
    let x: Vec<u64> = chosen.iter().map(|&i| asked[i].0).collect();
    let values: Vec<Value> = chosen.iter().map(|&i| rounded(asked[i].1)).collect();
    json!([x, values, rounded(threshold)])
}

/// No more than `places` of `count` indices, evenly spaced, first and last kept.
fn chosen(count: usize, places: usize) -> Vec<usize> {
    if count <= places {
        (0..count).collect()
    } else {
        (0..places)
            .map(|i| i * (count - 1) / (places - 1))
            .collect()
    }
}

/// Gradient evaluations and losses of a run at no more than `places` measurements, first and last
/// kept.
fn thinned(run: &RunRecord, places: usize) -> [Vec<Value>; 2] {
    let chosen = chosen(run.curve.len(), places);
    let points = || chosen.iter().map(|&i| &run.curve[i]);
    [
        points()
            .map(|point| json!(point.gradient_evaluations))
            .collect(),
        points().map(|point| rounded(point.loss)).collect(),
    ]
}

/// Four significant digits: more than a screen shows, and short. Null for what JSON lacks.
fn rounded(value: f64) -> Value {
    let text = format!("{value:.3e}");
    let value: f64 = text.parse().unwrap_or(f64::NAN);
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}
