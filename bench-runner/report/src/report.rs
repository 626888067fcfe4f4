//! A report: tables, charts and the page, of one result set.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bench_analysis::summary::{Row, summarize};
use bench_analysis::{Quantity, counted};
use bench_experiment::spec::Experiment;
use bench_experiment::store::{ProblemInfo, Results};
use rayon::prelude::*;

use crate::contents::{OVERALL_READING, READING, Report, SWITCH_READING, is_thinned};
use crate::error::Result;
use crate::figure::{self, Chart, Format};
use crate::files::write_files;
use crate::headline::Headline;
use crate::name::Names;
use crate::table::{Table, markdown_text};
use crate::{csv, html, summary};

/// The files of every report, beside its charts.
const TEXTS: [&str; 5] = [
    "index.html",
    "summary.md",
    "summary.tex",
    "summary.csv",
    "runs.csv",
];

/// The folder of the charts.
const FIGURES: &str = "figures";

impl Report<'_> {
    /// The charts over all problems.
    fn overall_charts(&self, headline: &Headline<'_>) -> Vec<Chart> {
        let results = self.results;
        let mut overall: Vec<Chart> = headline.forest().into_iter().collect();
        overall.extend_from_slice(self.extra);
        if results.problems.len() > 1 {
            overall.extend(figure::run_time_distribution(results));
        }
        overall.extend(figure::performance_profile(results));
        overall
    }

    /// The charts over all problems, and those of each problem.
    fn charts(&self, headline: &Headline<'_>) -> (Vec<Chart>, Vec<Vec<Chart>>) {
        let results = self.results;
        let charts = match is_thinned(results) {
            true => self
                .main_charts()
                .into_iter()
                .map(|chart| vec![chart])
                .collect(),
            false => {
                let problems = results.problems.iter();
                problems
                    .map(|problem| problem_charts(results, problem))
                    .collect()
            }
        };
        (self.overall_charts(headline), charts)
    }

    /// All charts, each with the formats of its files.
    fn with_formats<'c>(
        &'c self,
        overall: &'c [Chart],
        charts: &'c [Vec<Chart>],
    ) -> impl Iterator<Item = (&'c Chart, &'c [Format])> {
        let own = self.formats_of_problems();
        let overall = overall.iter().map(|chart| (chart, self.formats));
        overall.chain(charts.iter().flatten().map(move |chart| (chart, own)))
    }

    /// The formats of the charts of single problems.
    pub(crate) fn formats_of_problems(&self) -> &[Format] {
        match is_thinned(self.results) {
            true => &[Format::Svg],
            false => self.formats,
        }
    }

    /// The places of all [files](Self::files), none of which is made.
    pub fn names(&self) -> Vec<PathBuf> {
        let headline = Headline::new(self.results, &summarize(self.results));
        let (overall, charts) = self.charts(&headline);
        let figures = self
            .with_formats(&overall, &charts)
            .flat_map(|(chart, formats)| {
                let names = formats.iter().map(|&format| chart.file_name(format));
                names.map(|name| Path::new(FIGURES).join(name))
            });
        TEXTS.iter().map(PathBuf::from).chain(figures).collect()
    }

    /// All files with their places in the report's folder, `index.html` first.
    ///
    /// # Errors
    /// When a chart cannot be drawn or converted.
    pub fn files(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let results = self.results;
        let rows = summarize(results);
        let headline = Headline::new(results, &rows);
        let (overall, charts) = self.charts(&headline);
        let page = html::page(self, &headline, &rows, &charts, &overall)?;
        let texts = [
            page,
            markdown(self, &headline, &rows),
            latex(results, &rows),
            csv::summary(&rows),
            csv::runs(results),
        ];
        let mut files: Vec<(PathBuf, Vec<u8>)> = TEXTS
            .iter()
            .zip(texts)
            .map(|(name, text)| (name.into(), text.into_bytes()))
            .collect();
        let all: Vec<(&Chart, &[Format])> = self.with_formats(&overall, &charts).collect();
        let drawn: Vec<Vec<(String, Vec<u8>)>> = all
            .par_iter()
            .map(|(chart, formats)| chart.files(formats))
            .collect::<figure::Result<_>>()?;
        let figures = Path::new(FIGURES);
        let drawn = drawn.into_iter().flatten();
        files.extend(drawn.map(|(name, bytes)| (figures.join(name), bytes)));
        Ok(files)
    }

    /// The labels of the problems whose runs end after so many epochs.
    fn limited_by_epochs(&self) -> BTreeSet<String> {
        let path = Path::new("manifest.json");
        let experiment = Experiment::parse(&self.manifest.experiment, path);
        let problems = experiment.into_iter().flat_map(|known| known.problems);
        let limited = problems.filter(|problem| problem.epochs.is_some());
        limited.map(|problem| problem.label).collect()
    }

    /// The chart of each problem that its summary shows: the loss over its cost, or where epochs end the runs the paper's
    /// figure, loss and accuracy over epochs.
    fn main_charts(&self) -> Vec<Chart> {
        let results = self.results;
        let limited = self.limited_by_epochs();
        let main = |problem: &ProblemInfo| {
            let is_limited = limited.contains(&problem.label);
            let paper = is_limited
                .then(|| papers_figure(results, problem))
                .flatten();
            paper.unwrap_or_else(|| loss_over_cost(results, problem))
        };
        results.problems.iter().map(main).collect()
    }

    /// The files of a report that is to stay small, for a repository: the summaries, the list of runs, and
    /// of each problem the chart that the summary shows, as SVG; from the results beside them
    /// everything else can be made.
    ///
    /// # Errors
    /// When a chart cannot be drawn.
    pub fn small_files(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let small = Report {
            formats: &[Format::Svg],
            ..*self
        };
        let main = self.main_charts().into_iter();
        let stems: Vec<String> = main.map(|chart| chart.name).collect();
        let kept = |path: &Path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            match path.extension() {
                Some(extension) if extension == "html" => false,
                Some(extension) if extension == "svg" => stems.iter().any(|name| *name == stem),
                _ => true,
            }
        };
        let mut files = small.files()?;
        files.retain(|(path, _)| kept(path));
        Ok(files)
    }

    /// The files of a report on many problems that is to stay small: the table and the charts over all problems, and
    /// what each optimizer came to on each problem as CSV. The results themselves are left out.
    ///
    /// # Errors
    /// When a chart cannot be drawn.
    pub fn overall_files(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let rows = summarize(self.results);
        let headline = Headline::new(self.results, &rows);
        let mut text = head(self, &headline);
        text += &overview(&headline);
        let mut files = Vec::new();
        for chart in self.overall_charts(&headline) {
            text += &shown(&chart);
            let path = Path::new(FIGURES).join(chart.file_name(Format::Svg));
            files.push((path, chart.svg()?.into_bytes()));
        }
        files.push(("summary.md".into(), text.into_bytes()));
        files.push(("summary.csv".into(), csv::summary(&rows).into_bytes()));
        Ok(files)
    }

    /// Writes all files into `folder` and returns their paths, `index.html` first.
    ///
    /// # Errors
    /// When a chart cannot be drawn or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        write_files(folder, self.files()?)
    }
}

/// Loss and accuracy over epochs, as the authors of FUSE draw them, where both were measured.
fn papers_figure(results: &Results, problem: &ProblemInfo) -> Option<Chart> {
    let metrics = [Quantity::Loss, Quantity::Accuracy];
    figure::side_by_side(results, problem, &metrics, Quantity::Epoch)
}

fn loss_over_cost(results: &Results, problem: &ProblemInfo) -> Chart {
    figure::convergence(
        results,
        problem,
        Quantity::GradientEvaluations,
        Quantity::Loss,
    )
}

/// The charts of one problem: the loss over each cost, then what else was measured.
fn problem_charts(results: &Results, problem: &ProblemInfo) -> Vec<Chart> {
    let mut charts: Vec<Chart> = Quantity::AXES
        .into_iter()
        .filter(|&axis| {
            axis != Quantity::SampleGradients || counted::is_measured(results, &problem.label, axis)
        })
        .map(|axis| figure::convergence(results, problem, axis, Quantity::Loss))
        .collect();
    charts.extend(papers_figure(results, problem));
    if counted::is_measured(results, &problem.label, Quantity::GradientNorm) {
        let axis = Quantity::GradientEvaluations;
        charts.push(figure::convergence(
            results,
            problem,
            axis,
            Quantity::GradientNorm,
        ));
    }
    charts.extend(figure::evaluations_to_target(results, problem));
    charts
}

/// Title, answer, leaderboard, description and notes.
fn head(report: &Report<'_>, headline: &Headline<'_>) -> String {
    let Report {
        results, manifest, ..
    } = *report;
    let mut text = format!("# {}\n\n", markdown_text(&headline.title()));
    for sentence in headline.sentences() {
        text += &format!("{}\n\n", markdown_text(&sentence));
    }
    if headline.is_comparison() {
        text += &format!("{}\n", summary::leaderboard(headline).markdown());
    }
    text += &format!("{}\n\n", markdown_text(&results.description));
    for caveat in &results.caveats {
        text.push_str(&format!("> **Note:** {}\n\n", markdown_text(caveat)));
    }
    if !manifest.complete {
        text.push_str("> **Note:** not all planned runs are in these results.\n\n");
    }
    text
}

/// The table over all problems.
fn overview(headline: &Headline<'_>) -> String {
    let table = summary::overview(headline).markdown();
    let mut text = format!("\n{}\n\n{table}\n{OVERALL_READING}\n", summary::OVERVIEW);
    if let Some(table) = summary::switching(headline) {
        text += &format!(
            "\n## The switch\n\n{}\n{SWITCH_READING}\n",
            table.markdown()
        );
    }
    text
}

/// A chart with its caption.
fn shown(chart: &Chart) -> String {
    let alt = markdown_text(&chart.alt).replace(['[', ']'], "");
    format!(
        "\n![{alt}](figures/{}.svg)\n\n{}\n",
        chart.name,
        markdown_text(&chart.caption)
    )
}

fn markdown(report: &Report<'_>, headline: &Headline<'_>, rows: &[Row]) -> String {
    let results = report.results;
    let mut text = head(report, headline);
    text.push_str(READING);
    text.push('\n');
    if results.problems.len() > 1 {
        text += &overview(headline);
    }
    for (problem, chart) in results.problems.iter().zip(report.main_charts()) {
        text.push_str(&format!(
            "\n## {}\n\nLoss: {}. {} parameters. {}\n\n{}",
            markdown_text(&problem.title),
            markdown_text(&problem.loss_name),
            problem.dimension,
            summary::goal(problem),
            summary::table(rows, problem).markdown()
        ));
        if report.formats.contains(&Format::Svg) {
            text += &shown(&chart);
        }
    }
    if let Some(tuning) = &results.tuning {
        let headers = [
            "problem",
            "optimizer",
            "chosen",
            "trials",
            "each trial: median final loss",
        ];
        let table = Table {
            headers: headers.map(str::to_owned).to_vec(),
            rows: summary::choices(results)
                .into_iter()
                .map(Into::into)
                .collect(),
        };
        text.push_str(&format!(
            "\n## Settings that were chosen\n\n{}\n\n{}",
            summary::effort(tuning),
            table.markdown()
        ));
    }
    text
}

fn latex(results: &Results, rows: &[Row]) -> String {
    let mut text = String::from("% Needs \\usepackage{booktabs}.\n");
    let names = Names::of_problems(results);
    for problem in &results.problems {
        let caption = format!("{}. {}", problem.title, summary::goal(problem));
        let label = format!("tab:{}", names.name(&problem.label));
        text.push_str(&summary::table(rows, problem).latex(&caption, &label));
        text.push('\n');
    }
    text
}
