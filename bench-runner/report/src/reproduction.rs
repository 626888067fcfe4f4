//! Which of the paper's pairs of dataset and network have been run, on what, and how to run the others: read from the
//! manifests of the committed reports.

use std::collections::BTreeMap;
use std::path::Path;

use bench_experiment::spec::{Experiment, ProblemEntry, Scale, Suite};
use bench_experiment::store::Manifest;

use crate::error::{Error, Result};
use crate::number::short;
use crate::table::{Table, markdown_text};

/// The suites that have the paper's pairs.
const ARMS: [&str; 3] = ["as-shipped", "paper", "corrected"];

/// A row for each pair, with what the committed reports have of it in each arm.
///
/// # Errors
/// When a manifest cannot be read.
pub(crate) fn table(references: &Path) -> Result<Table> {
    let reports = reports(references)?;
    let pairs = Suite::find(ARMS[0])?.experiment()?.problems;
    let mut headers = ["pair", "network and data"].map(str::to_owned).to_vec();
    headers.extend(ARMS.map(str::to_owned));
    let rows = pairs.iter().map(|pair| {
        let title = pair.config.title();
        // What follows are the arm's faults.
        let title = title.split(", with faults").next().unwrap_or_default();
        let mut row = vec![pair.label.clone(), markdown_text(title)];
        row.extend(ARMS.map(|arm| {
            let runs: Vec<String> = reports
                .iter()
                .filter(|(_, experiment)| Scale::suite_of(&experiment.name) == arm)
                .filter_map(|(manifest, experiment)| {
                    Some(run(manifest, experiment.problem(&pair.label).ok()?))
                })
                .collect();
            match runs.is_empty() {
                true => "not run".to_owned(),
                false => runs.join("; "),
            }
        }));
        row
    });
    Ok(Table {
        headers,
        rows: rows.collect(),
    })
}

/// The methods whose medians are shown of each arm, by the beginning of their labels: of its switches the first.
const METHODS: [(&str, &str); 3] = [
    ("Adam", "adam"),
    ("L-BFGS", "lbfgs"),
    ("FUSE-PV", "fuse-pv"),
];

/// A row for each pair, with a column of the summaries for each method and each arm that has a report `ARM-reports`.
///
/// # Errors
/// When a summary cannot be read, with `wrong`'s line.
pub(crate) fn medians(
    references: &Path,
    reports: &str,
    column: &str,
    wrong: &dyn Fn(String) -> Error,
) -> Result<Table> {
    let summary_of = |arm: &str| references.join(format!("{arm}-{reports}/summary.csv"));
    let arms: Vec<&str> = ARMS
        .into_iter()
        .filter(|arm| summary_of(arm).is_file())
        .collect();
    if arms.is_empty() {
        return Err(wrong(format!("no arm has a report `ARM-{reports}`")));
    }
    // A row's cells, arm by arm; an arm that lacks the pair has dashes.
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (place, arm) in arms.iter().enumerate() {
        let path = summary_of(arm);
        let unreadable = |error: ::csv::Error| wrong(format!("{}: {error}", path.display()));
        let mut reader = ::csv::Reader::from_path(&path).map_err(unreadable)?;
        let summary: Vec<BTreeMap<String, String>> = reader
            .deserialize()
            .collect::<std::result::Result<_, _>>()
            .map_err(unreadable)?;
        if summary.iter().any(|row| !row.contains_key(column)) {
            return Err(wrong(format!(
                "{} has no column `{column}`",
                path.display()
            )));
        }
        let cell = |row: &BTreeMap<String, String>, column: &str| {
            row.get(column).cloned().unwrap_or_default()
        };
        let mut problems: Vec<String> = summary.iter().map(|row| cell(row, "problem")).collect();
        problems.dedup();
        for problem in problems {
            let row = match rows.iter().position(|row| row[0] == problem) {
                Some(row) => row,
                None => {
                    let mut row = vec!["–".to_owned(); 1 + arms.len() * METHODS.len()];
                    row[0] = problem.clone();
                    rows.push(row);
                    rows.len() - 1
                }
            };
            let first = 1 + place * METHODS.len();
            for (shown, (_, method)) in rows[row][first..].iter_mut().zip(METHODS) {
                let found = summary.iter().find(|found| {
                    cell(found, "problem") == problem
                        && cell(found, "optimizer").starts_with(method)
                });
                let value = found.and_then(|found| cell(found, column).parse().ok());
                *shown = short(value.unwrap_or(f64::NAN));
            }
        }
    }
    let heads = arms
        .iter()
        .flat_map(|arm| METHODS.map(|(name, _)| format!("{arm}: {name}")));
    Ok(Table {
        headers: std::iter::once("pair".to_owned()).chain(heads).collect(),
        rows,
    })
}

/// The committed reports, with what was run.
fn reports(references: &Path) -> Result<Vec<(Manifest, Experiment)>> {
    let folders = std::fs::read_dir(references).map_err(Error::io("read", references))?;
    let mut reports = Vec::new();
    for folder in folders {
        let folder = folder.map_err(Error::io("read", references))?;
        let path = folder.path().join("manifest.json");
        if path.is_file() {
            let manifest = Manifest::read(&path)?;
            let experiment = Experiment::parse(&manifest.experiment, &path)
                .map_err(bench_experiment::Error::from)?;
            reports.push((manifest, experiment));
        }
    }
    reports.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    Ok(reports)
}

/// How much of a pair was run, on what and when.
fn run(manifest: &Manifest, problem: &ProblemEntry) -> String {
    let length = match problem.epochs {
        Some(epochs) => format!("{epochs} epochs"),
        None => format!("{} evaluations", problem.budget),
    };
    let day = manifest.started.split('T').next().unwrap_or_default();
    format!(
        "{length}, {} seeds ({}, {day})",
        manifest.seeds.len(),
        manifest.cpu.split(" (").next().unwrap_or_default()
    )
}
