//! `report`: the report of results that are there already.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bench_experiment::session::collected;
use bench_experiment::store::{self, Manifest, Results};
use bench_experiment::sweep::Plan;
use bench_report::Report;
use clap::Parser;

use super::input::results_file;
use super::publish::{destination, findings, none_failed, publish, retire_partial, writable};
use super::terminal::{open, print};
use crate::error::{Error, Result};

#[derive(Debug, Parser)]
pub struct ReportCommand {
    /// Reports' folders, each with results.parquet and manifest.json, or one plan.json
    #[arg(value_name = "REPORT", required = true)]
    pub from: Vec<PathBuf>,
    /// Where the report goes [default: the first report's folder; of several, reports/NAMES]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the report that is there even by a less complete one, which otherwise goes to its folder `partial`
    #[arg(long)]
    pub replace: bool,
    /// Open it in the browser
    #[arg(long)]
    pub open: bool,
}

/// Makes the report.
///
/// # Errors
/// When results cannot be read or the report cannot be written.
pub fn run(options: &ReportCommand, out: &mut impl Write) -> Result<()> {
    if let [plan] = options.from.as_slice()
        && plan
            .extension()
            .is_some_and(|extension| extension == "json")
    {
        return of_plan(plan, options, out);
    }
    let (mut sets, mut with_imported) = (Vec::new(), Vec::new());
    let mut manifests = Vec::new();
    for folder in &options.from {
        let results = results_file(folder);
        let own = store::read(&results)?;
        with_imported.push(own.clone().with_imported(store::read_imported(&results)?));
        sets.push(own);
        manifests.push(Manifest::read(&results.with_file_name("manifest.json"))?);
    }
    let several = sets.len() > 1;
    let imported = Results::joined(with_imported).and_then(|all| all.imported());
    let (Some(results), Some(manifest)) = (Results::joined(sets), Manifest::joined(manifests))
    else {
        return Ok(());
    };
    let folder = match (&options.out, options.from.first()) {
        (Some(folder), _) => folder.clone(),
        (None, Some(folder)) if !several && folder.is_dir() => folder.clone(),
        _ => PathBuf::from("reports").join(&results.suite),
    };
    writable(&folder)?;
    // What was planned is not recorded as a number: a report is whole, or lacks at least one run.
    let planned = results.records.len() + usize::from(!manifest.complete);
    let report = folder;
    let folder = destination(&report, &results, planned, options.replace);
    let shown = results.clone().with_imported(imported.clone());
    Report {
        findings: &findings(&results)?,
        ..Report::new(&shown, &manifest)
    }
    .write(&folder)?;
    let there = folder.join("results.parquet");
    store::write(&there, &results)?;
    if let Some(imported) = imported {
        store::write_imported(&there, &imported)?;
    }
    manifest.write(&folder.join("manifest.json"))?;
    retire_partial(&report, &results, planned)?;
    let page = folder.join("index.html");
    print(out, &format!("Report: {}\n", page.display()))?;
    if options.open {
        open(&page)?;
    }
    Ok(())
}

/// Makes the report of a plan, from what is in the store. Runs that failed are in it with their reasons; those
/// that are still to be made are not.
fn of_plan(path: &Path, options: &ReportCommand, out: &mut impl Write) -> Result<()> {
    let started = Instant::now();
    let plan = Plan::read(path)?;
    let beside = path.parent().unwrap_or(Path::new("."));
    let folder = options.out.as_deref().unwrap_or(beside);
    writable(folder)?;
    let made = collected(path, &plan, std::env::args().collect())?;
    let (done, total, failed) = (made.results.records.len(), made.planned, made.failed());
    publish(folder, made, started, options.replace, false, out)?;
    if done < total {
        return Err(Error::Unfinished {
            plan: path.into(),
            done,
            total,
        });
    }
    none_failed(failed, done)
}
