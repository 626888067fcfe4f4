//! The page of a sweep that is under way, and what its script asks for while the sweep grows. Curves, colours
//! and words are the report's.

use std::collections::BTreeSet;

use bench_analysis::{Quantity, counted};
use bench_experiment::run::{CellId, Outcome, RunRecord};
use bench_experiment::store::Results;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Result;
use crate::figure::{self, AxisScale};
use crate::html::{PLACES, columns, reason};
use crate::page::{STYLE, render};
use crate::{number, summary};

const TEMPLATE: &str = include_str!("../templates/live.html");
const OWN_STYLE: &str = include_str!("../templates/live.css");
const SCRIPT: &str = concat!(
    include_str!("../templates/chart.js"),
    include_str!("../templates/live.js")
);

/// What curves are drawn against: it grows alike on every machine.
const AXIS: Quantity = Quantity::GradientEvaluations;

/// The page: one file that asks for the rest below its own address.
///
/// # Errors
/// Never, unless the template is wrong.
pub fn page() -> Result<String> {
    #[derive(Serialize)]
    struct Page {
        style: &'static str,
        own_style: &'static str,
        script: &'static str,
    }
    let page = Page {
        style: STYLE,
        own_style: OWN_STYLE,
        script: SCRIPT,
    };
    render("live.html", TEMPLATE, &page)
}

/// What a sweep is: its name, the problems with the numbers of the optimizers that they are for, and the
/// optimizers with their looks.
pub fn outline(results: &Results, planned: &[CellId]) -> Value {
    let labels: Vec<&str> = results.optimizers.iter().map(|o| &*o.label).collect();
    let families = figure::families(&labels);
    let styles = figure::styles_of(results);
    let looks = labels.iter().zip(families).zip(styles);
    let optimizers: Vec<Value> = looks
        .map(|((label, family), style)| {
            let dash = match figure::DASHES[style % figure::DASHES.len()] {
                (_, 0) => "none".to_owned(),
                (on, off) => format!("{on} {off}"),
            };
            let color = figure::PALETTE[style % figure::PALETTE.len()];
            json!({ "label": label, "family": family, "color": color, "dash": dash })
        })
        .collect();
    let pairs: BTreeSet<(&str, &str)> = planned
        .iter()
        .map(|run| (&*run.problem, &*run.optimizer))
        .collect();
    let problems = results.problems.iter().map(|problem| {
        let is_planned = |index: &usize| pairs.contains(&(&*problem.label, labels[*index]));
        json!({
            "title": problem.title,
            "goal": summary::goal(problem),
            "optimizers": (0..labels.len()).filter(is_planned).collect::<Vec<_>>(),
        })
    });
    json!({
        "name": results.suite,
        "description": results.description,
        "most": figure::MOST,
        "optimizers": optimizers,
        "problems": problems.collect::<Vec<_>>(),
    })
}

/// The curves of a problem as far as they are: per optimizer the median loss with its quartiles, and how a
/// chart shows them. `None` where there is no problem of this number. A run under way is a record that was
/// interrupted, which counts as far as it got.
pub fn curves(results: &Results, problem: usize) -> Option<Value> {
    let problem = results.problems.get(problem)?;
    let optimizers = results.optimizers.iter().enumerate();
    let series: Vec<Value> = optimizers
        .filter_map(|(index, optimizer)| {
            let runs = results.runs(&problem.label, &optimizer.label);
            let runs: Vec<&RunRecord> = runs.filter(|run| !run.curve.is_empty()).collect();
            let mut series = columns(&runs, AXIS, Quantity::Loss, PLACES);
            series["optimizer"] = json!(index);
            series["runs"] = json!(runs.len());
            (!runs.is_empty()).then_some(series)
        })
        .collect();
    Some(json!({
        "title": problem.title,
        "xLabel": AXIS.title(),
        "yLabel": Quantity::Loss.label(problem),
        "log": figure::scale(Quantity::Loss) == AxisScale::Log,
        "target": problem.target,
        "targetText": problem.target.map(number::exact),
        "series": series,
    }))
}

/// A run that did not go well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The run.
    pub run: String,
    /// How it ended, in one word.
    pub outcome: &'static str,
    /// Why.
    pub reason: String,
}

/// What was wrong with a run that failed or, as every table counts it, diverged; `None` of others.
pub fn trouble(run: &RunRecord) -> Option<Trouble> {
    let (outcome, reason) = match &run.outcome {
        outcome @ (Outcome::Failed { .. } | Outcome::Diverged { .. }) => {
            (outcome.label(), reason(outcome))
        }
        _ if counted::is_diverged(run) => {
            let loss = |point: Option<f64>| number::short(point.unwrap_or(f64::NAN));
            let first = loss(run.curve.first().map(|point| point.loss));
            let last = loss(run.last().map(|point| point.loss));
            (
                "diverged",
                format!("the loss ended at {last}, above its start, {first}"),
            )
        }
        _ => return None,
    };
    Some(Trouble {
        run: run.cell.to_string(),
        outcome,
        reason,
    })
}

/// How a run ended, in a line.
pub fn ending(run: &RunRecord) -> String {
    let last = run.last().map_or(f64::NAN, |point| point.loss);
    format!(
        "{} {}, loss {}: {}",
        run.cell,
        run.outcome.label(),
        number::short(last),
        reason(&run.outcome)
    )
}
