//! The HTML report: one file that needs no network.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};
use rayon::prelude::*;
use serde::Serialize;

use super::summary::{self, Row};
use super::{READING, Result, Table, number};
use crate::figure::{self, Chart};
use crate::store::{Manifest, ProblemInfo, Results};

/// The page's skeleton, style and script.
const TEMPLATE: &str = include_str!("../../templates/report.html");

/// What the template is filled in with.
#[derive(Serialize)]
struct Page<'a> {
    results: &'a Results,
    manifest: &'a Manifest,
    reading: &'static str,
    sections: Vec<Section>,
    command: String,
    wall: String,
    memory: String,
    runs: String,
    training: String,
}

/// A problem's part of the page.
#[derive(Serialize)]
struct Section {
    id: String,
    title: String,
    goal: String,
    loss_name: String,
    dimension: String,
    data: Vec<String>,
    table: Table,
    /// The static figure, drawn in full.
    figure: Figure,
    /// The other figures, as files beside the page.
    files: Vec<Figure>,
}

#[derive(Serialize)]
struct Figure {
    name: String,
    caption: String,
    alt: String,
    /// Empty where the page only links to the files.
    svg: String,
}

/// Makes the page.
pub(super) fn page(
    results: &Results,
    manifest: &Manifest,
    rows: &[Row],
    charts: &[Chart],
) -> Result<String> {
    let sections = results
        .problems
        .par_iter()
        .map(|problem| section(problem, rows, charts))
        .collect::<Result<Vec<Section>>>()?;
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report.html", TEMPLATE)?;
    let page = Page {
        results,
        manifest,
        reading: READING,
        sections,
        command: manifest.command.join(" "),
        wall: number::short(manifest.wall_seconds),
        memory: number::short(manifest.memory_gib),
        runs: number::whole(results.records.len() as f64),
        training: number::short(results.records.iter().map(|run| run.seconds).sum()),
    };
    Ok(environment
        .get_template("report.html")?
        .render(Value::from(Serde(&page)))?)
}

fn section(problem: &ProblemInfo, rows: &[Row], charts: &[Chart]) -> Result<Section> {
    let id = figure::file_stem(&problem.label);
    let own: Vec<&Chart> = charts
        .iter()
        .filter(|chart| chart.name.starts_with(&format!("{id}-")))
        .collect();
    let describe = |chart: &Chart, svg: String| Figure {
        name: chart.name.clone(),
        caption: chart.caption.clone(),
        alt: chart.alt.clone(),
        svg,
    };
    let first = own
        .first()
        .map(|chart| -> Result<Figure> { Ok(describe(chart, chart.svg()?)) });
    Ok(Section {
        title: problem.title.clone(),
        goal: summary::goal(problem),
        loss_name: problem.loss_name.clone(),
        dimension: number::whole(problem.dimension as f64),
        data: problem.data.clone(),
        table: summary::table(rows, problem),
        figure: first.transpose()?.unwrap_or_else(|| Figure {
            name: String::new(),
            caption: String::new(),
            alt: String::new(),
            svg: String::new(),
        }),
        files: own
            .iter()
            .map(|chart| describe(chart, String::new()))
            .collect(),
        id,
    })
}
