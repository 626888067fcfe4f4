//! The HTML report: one file that needs no network, with static figures that a script makes
//! interactive where there is one.

mod data;
mod methods;

use bench_analysis::summary::Row;
use bench_experiment::store::{Manifest, ProblemInfo, Results};
use rayon::prelude::*;
use serde::Serialize;

use crate::contents::{Finding, OVERALL_READING, READING, Report, is_thinned};
use crate::error::Result;
use crate::figure::{Chart, Format};
use crate::name::of_problem;
use crate::page::{STYLE, render};
use crate::table::Table;
use crate::{number, summary};

const TEMPLATE: &str = include_str!("../../templates/report.html");
const SCRIPT: &str = include_str!("../../templates/report.js");

/// What the template is filled in with.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    results: &'a Results,
    manifest: &'a Manifest,
    findings: &'a [Finding],
    reading: &'static str,
    overall_reading: &'static str,
    formats: Vec<&'static str>,
    problem_formats: Vec<&'static str>,
    criteria: Vec<String>,
    arms: Vec<&'a str>,
    discrepancies: Vec<methods::Listed>,
    checklist: Vec<methods::Answer>,
    choices: Vec<[String; 5]>,
    overview: Table,
    /// Whether there are so many problems that their contents are folded.
    is_thinned: bool,
    sections: Vec<Section>,
    extra: Vec<Figure>,
    common: String,
    records: String,
    command: String,
}

/// A problem's part of the page.
#[derive(Serialize)]
struct Section {
    id: String,
    label: String,
    arm: String,
    title: String,
    goal: String,
    loss_name: String,
    dimension: String,
    data: Vec<String>,
    table: Table,
    /// The first is drawn in the page, all are linked as files.
    figures: Vec<Figure>,
    curves: String,
}

#[derive(Serialize)]
struct Figure {
    name: String,
    title: String,
    caption: String,
    /// The drawing, where it is part of the page.
    svg: String,
    /// What the drawing says, where the page loads it from its file; where both are empty, the page only links
    /// to the files.
    alt: String,
}

impl Figure {
    fn drawn(chart: &Chart) -> Result<Self> {
        Ok(Self {
            svg: chart.svg()?,
            ..Self::linked(chart)
        })
    }

    fn loaded(chart: &Chart) -> Self {
        Self {
            alt: chart.alt.clone(),
            ..Self::linked(chart)
        }
    }

    fn linked(chart: &Chart) -> Self {
        Self {
            name: chart.name.clone(),
            title: chart.title.clone(),
            caption: chart.caption.clone(),
            svg: String::new(),
            alt: String::new(),
        }
    }
}

/// Makes the page. `charts` holds each problem's own charts, in the order of the problems, `extra`
/// those of the suite as a whole.
pub(super) fn page(
    report: &Report<'_>,
    rows: &[Row],
    charts: &[Vec<Chart>],
    extra: &[Chart],
) -> Result<String> {
    let Report {
        results,
        manifest,
        findings,
        formats,
        ..
    } = *report;
    let sections = results
        .problems
        .par_iter()
        .zip(charts)
        .map(|(problem, charts)| section(results, problem, rows, charts))
        .collect::<Result<Vec<Section>>>()?;
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        results,
        manifest,
        findings,
        reading: READING,
        overall_reading: OVERALL_READING,
        formats: extensions(formats),
        problem_formats: extensions(report.formats_of_problems()),
        criteria: data::criteria(results),
        arms: data::arms(results),
        discrepancies: methods::discrepancies(results),
        checklist: methods::checklist(report),
        choices: summary::choices(results),
        overview: summary::overview(results, rows),
        is_thinned: is_thinned(results),
        sections,
        extra: extra.iter().map(Figure::drawn).collect::<Result<_>>()?,
        common: embedded(&data::common(results))?,
        records: embedded(&data::runs(results))?,
        command: manifest.command.join(" "),
    };
    render("report.html", TEMPLATE, &page)
}

fn extensions(formats: &[Format]) -> Vec<&'static str> {
    formats.iter().map(|format| format.extension()).collect()
}

fn section(
    results: &Results,
    problem: &ProblemInfo,
    rows: &[Row],
    charts: &[Chart],
) -> Result<Section> {
    let figures = charts
        .iter()
        .enumerate()
        .map(|(index, chart)| match index {
            0 if is_thinned(results) => Ok(Figure::loaded(chart)),
            0 => Figure::drawn(chart),
            _ => Ok(Figure::linked(chart)),
        })
        .collect::<Result<_>>()?;
    Ok(Section {
        // The page has ids of its own, which a problem may be called by.
        id: format!("problem-{}", of_problem(results, &problem.label)),
        label: problem.label.clone(),
        arm: problem.suite.clone(),
        title: problem.title.clone(),
        goal: summary::goal(problem),
        loss_name: problem.loss_name.clone(),
        dimension: number::whole(problem.dimension as f64),
        data: problem.data.clone(),
        table: summary::table(rows, problem),
        figures,
        curves: embedded(&data::curves(results, problem))?,
    })
}

/// JSON for a `script` element. Without a `<` there is no tag or comment in it that could end the
/// element or keep it from ending; in JSON the sign stands in strings only.
fn embedded(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}
