//! The HTML report: one file that needs no network, with static figures that a script makes
//! interactive where there is one.

mod data;
mod methods;

use bench_analysis::summary::Row;
use bench_experiment::store::{Manifest, ProblemInfo, Results};
use rayon::prelude::*;
use serde::Serialize;

use crate::contents::{
    Finding, LEADERBOARD_READING, OVERALL_READING, READING, Report, SWITCH_READING, is_thinned,
};
use crate::error::Result;
use crate::figure::{self, Chart, Format};
use crate::headline::Headline;
use crate::name::of_problem;
use crate::page::{STYLE, render};
use crate::table::Table;
use crate::{number, summary};

pub(crate) use data::{PLACES, columns, reason};

const TEMPLATE: &str = include_str!("../../templates/report.html");
/// The charts, and the page that has them.
const SCRIPT: &str = concat!(
    include_str!("../../templates/chart.js"),
    include_str!("../../templates/report.js")
);

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
    title: String,
    sentences: Vec<String>,
    /// The leaderboard with its figure, where there are several problems.
    leaderboard: Option<Table>,
    leaderboard_reading: &'static str,
    forest: Option<Figure>,
    /// The name of the figure that a script draws anew of what is shown.
    profile: &'static str,
    overview: Table,
    switching: Option<Table>,
    switch_reading: &'static str,
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
    headline: &Headline<'_>,
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
    // The figure of the leaderboard stands beside it, the others under the summary.
    let is_forest = |chart: &&Chart| chart.name == figure::FOREST;
    let (forest, extra): (Vec<&Chart>, Vec<&Chart>) = extra.iter().partition(is_forest);
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
        title: headline.title(),
        sentences: headline.sentences(),
        leaderboard: headline
            .is_comparison()
            .then(|| summary::leaderboard(headline)),
        leaderboard_reading: LEADERBOARD_READING,
        forest: forest.into_iter().next().map(Figure::drawn).transpose()?,
        profile: figure::PROFILE,
        overview: summary::overview(headline),
        switching: summary::switching(headline),
        switch_reading: SWITCH_READING,
        is_thinned: is_thinned(results),
        sections,
        extra: extra
            .into_iter()
            .map(Figure::drawn)
            .collect::<Result<_>>()?,
        common: embedded(&data::common(results, rows))?,
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
