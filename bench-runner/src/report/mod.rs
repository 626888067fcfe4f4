//! What people read: the HTML report, tables in Markdown, LaTeX and CSV, and the terminal's summary.
//!
//! Everything here is made of [`Results`] and [`Manifest`] alone; the same input gives the same bytes.

mod compare;
mod csv;
mod gallery;
mod html;
pub(crate) mod number;
mod page;
mod summary;
mod table;
mod terminal;
mod verdicts;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

pub use compare::compare;
pub use gallery::{Drawn, gallery};
pub use summary::{Row, Spread, summarize};
pub use table::Table;
pub use terminal::terminal_table;
pub use verdicts::verdicts;

use crate::figure::{self, Axis, Chart, Format, Metric};
use crate::store::{Manifest, ProblemInfo, Results};

/// The error of writing a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A chart could not be drawn or written.
    #[error(transparent)]
    Figure(#[from] figure::Error),

    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// The HTML template could not be filled in.
    #[error("cannot make the HTML report: {0}")]
    Template(#[from] minijinja::Error),

    /// The results could not be written as JSON.
    #[error("cannot put the results into the HTML report: {0}")]
    Json(#[from] serde_json::Error),
}

/// The result of writing a report.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the results say about one claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The claim.
    pub claim: String,
    /// Whether it holds here, in a word or two.
    pub verdict: String,
    /// The numbers behind the verdict.
    pub evidence: String,
}

/// Writes the whole report into `folder` and returns the paths of its files, `index.html` first.
///
/// # Errors
/// When a chart cannot be drawn or a file cannot be written.
pub fn write(folder: &Path, results: &Results, manifest: &Manifest) -> Result<Vec<PathBuf>> {
    Report::new(results, manifest).write(folder)
}

/// As [`write()`], with `findings` and the charts in `extra` at the head of the page.
///
/// # Errors
/// As [`write()`].
pub fn write_with(
    folder: &Path,
    results: &Results,
    manifest: &Manifest,
    findings: &[Finding],
    extra: &[Chart],
) -> Result<Vec<PathBuf>> {
    Report {
        findings,
        extra,
        ..Report::new(results, manifest)
    }
    .write(folder)
}

/// A report to be made: `index.html`, `summary.md`, `summary.tex`, `summary.csv` (one line per problem
/// and optimizer), `runs.csv` (one line per run), and all charts under `figures/`.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The results.
    pub results: &'a Results,
    /// How they came about.
    pub manifest: &'a Manifest,
    /// What they say about claims; may be empty.
    pub findings: &'a [Finding],
    /// Charts for the head of the page.
    pub extra: &'a [Chart],
    /// The formats of the charts' files.
    pub formats: &'a [Format],
}

impl<'a> Report<'a> {
    /// A report without findings and extra charts, with charts in all formats.
    pub fn new(results: &'a Results, manifest: &'a Manifest) -> Self {
        Self {
            results,
            manifest,
            findings: &[],
            extra: &[],
            formats: &[Format::Svg, Format::Png, Format::Pdf],
        }
    }

    /// All files with their places in the report's folder, `index.html` first.
    ///
    /// # Errors
    /// When a chart cannot be drawn or converted.
    pub fn files(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let results = self.results;
        let rows = summarize(results);
        let charts: Vec<Vec<Chart>> = results
            .problems
            .iter()
            .map(|problem| problem_charts(results, problem))
            .collect();
        let mut whole: Vec<Chart> = self.extra.to_vec();
        whole.extend(figure::performance_profile(results));
        let page = html::page(self, &rows, &charts, &whole)?;
        let mut files: Vec<(PathBuf, Vec<u8>)> = [
            ("index.html", page),
            ("summary.md", markdown(self, &rows)),
            ("summary.tex", latex(results, &rows)),
            ("summary.csv", csv::summary(&rows)),
            ("runs.csv", csv::runs(results)),
        ]
        .map(|(name, text)| (name.into(), text.into_bytes()))
        .to_vec();
        let all: Vec<&Chart> = whole.iter().chain(charts.iter().flatten()).collect();
        let drawn: Vec<Vec<(String, Vec<u8>)>> = all
            .par_iter()
            .map(|chart| chart.files(self.formats))
            .collect::<figure::Result<_>>()?;
        let figures = Path::new("figures");
        let drawn = drawn.into_iter().flatten();
        files.extend(drawn.map(|(name, bytes)| (figures.join(name), bytes)));
        Ok(files)
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
        let stems: Vec<String> = self
            .results
            .problems
            .iter()
            .map(|problem| main_chart(self.results, problem).name)
            .collect();
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

    /// Writes all files into `folder` and returns their paths, `index.html` first.
    ///
    /// # Errors
    /// When a chart cannot be drawn or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let written = |path: &Path, result: std::io::Result<()>| {
            result.map_err(|source| Error::Write {
                path: path.into(),
                source,
            })
        };
        let figures = folder.join("figures");
        written(&figures, fs::create_dir_all(&figures))?;
        let mut paths = Vec::new();
        for (name, bytes) in self.files()? {
            let path = folder.join(name);
            written(&path, fs::write(&path, bytes))?;
            paths.push(path);
        }
        Ok(paths)
    }
}

/// The chart of a problem that its summary shows.
fn main_chart(results: &Results, problem: &ProblemInfo) -> Chart {
    figure::convergence(results, problem, Axis::GradientEvaluations, Metric::Loss)
}

/// The charts of one problem: the loss over each cost, then what else was measured.
fn problem_charts(results: &Results, problem: &ProblemInfo) -> Vec<Chart> {
    let has_gradient_norms = results
        .records
        .iter()
        .filter(|run| run.cell.problem == problem.label)
        .any(|run| run.curve.iter().any(|point| point.gradient_norm.is_some()));
    let mut charts: Vec<Chart> = Axis::ALL
        .into_iter()
        .map(|axis| figure::convergence(results, problem, axis, Metric::Loss))
        .collect();
    let authors = [Metric::Loss, Metric::Accuracy];
    charts.extend(figure::side_by_side(
        results,
        problem,
        &authors,
        Axis::Epochs,
    ));
    if has_gradient_norms {
        let axis = Axis::GradientEvaluations;
        charts.push(figure::convergence(
            results,
            problem,
            axis,
            Metric::GradientNorm,
        ));
    }
    charts.extend(figure::evaluations_to_target(results, problem));
    charts
}

/// What the numbers of the tables are; shown wherever a table is.
const READING: &str = "Numbers are medians over seeds; brackets hold the distribution-free interval \
for the median from order statistics, at 95 % or at the highest level that the number of seeds \
allows (50 % at 2, 75 % at 3, 94 % at 5 seeds). Runs that diverged or failed count as worse than \
every other; interrupted runs do not count. A target that was not reached costs ∞.";

fn markdown(report: &Report<'_>, rows: &[Row]) -> String {
    let Report {
        results, manifest, ..
    } = *report;
    let mut text = format!("# {}\n\n{}\n\n", results.suite, results.description);
    for caveat in &results.caveats {
        text.push_str(&format!("> **Note:** {caveat}\n\n"));
    }
    if !manifest.complete {
        text.push_str("> **Note:** not all planned runs are in these results.\n\n");
    }
    text.push_str(READING);
    text.push('\n');
    for problem in &results.problems {
        text.push_str(&format!(
            "\n## {}\n\nLoss: {}. {} parameters. {}\n\n{}",
            problem.title,
            problem.loss_name,
            problem.dimension,
            summary::goal(problem),
            summary::table(rows, problem).markdown()
        ));
        if report.formats.contains(&Format::Svg) {
            let chart = main_chart(results, problem);
            let alt = chart.alt.replace(['[', ']'], "");
            text.push_str(&format!(
                "\n![{alt}](figures/{}.svg)\n\n{}\n",
                chart.name, chart.caption
            ));
        }
    }
    if let Some(tuning) = &results.tuning {
        let headers = [
            "problem",
            "optimizer",
            "chosen",
            "trials: median final loss",
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
    for problem in &results.problems {
        let caption = format!("{}. {}", problem.title, summary::goal(problem));
        let label = format!("tab:{}", figure::file_stem(&problem.label));
        text.push_str(&summary::table(rows, problem).latex(&caption, &label));
        text.push('\n');
    }
    text
}
