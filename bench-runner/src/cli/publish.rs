//! Reports of sweeps, written and shown.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bench_analysis::claims::Claims;
use bench_experiment::session::Made;
use bench_experiment::store::{self, Manifest, Results};
use bench_report::{Finding, Report, terminal_table};

use super::terminal::print;
use crate::error::{Error, Result};

/// Creates the report's folder and checks that files can be made there, before any work starts.
///
/// # Errors
/// When they cannot.
pub fn writable(folder: &Path) -> Result<()> {
    use bench_experiment::Error;
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let probe = folder.join(".writable");
    std::fs::write(&probe, b"").map_err(Error::io("write", &probe))?;
    Ok(std::fs::remove_file(&probe).map_err(Error::io("remove", &probe))?)
}

/// The folder inside a report's for a report that is less complete.
const PARTIAL: &str = "partial";
/// The files that tell what a report is of.
const RESULTS: &str = "results.parquet";
const MANIFEST: &str = "manifest.json";

/// Where a report goes: into its folder, but if it lacks planned runs and there is one with more
/// complete runs already, into a folder of its own inside, unless it is to `replace` whatever is there.
pub fn destination(folder: &Path, results: &Results, planned: usize, replace: bool) -> PathBuf {
    let ours = complete_runs(results);
    let there = folder.join(RESULTS);
    if replace || ours >= planned || !there.exists() {
        return folder.into();
    }
    let reason = match store::read(&there).as_ref().map(complete_runs) {
        Ok(theirs) if theirs <= ours => return folder.into(),
        Ok(theirs) => format!("{} has {theirs} complete runs", folder.display()),
        Err(error) => error.to_string(),
    };
    let partial = folder.join(PARTIAL);
    eprintln!(
        "the report of {ours} complete runs of {planned} goes to {}: {reason}, and stays; --replace replaces it",
        partial.display()
    );
    partial
}

fn complete_runs(results: &Results) -> usize {
    let records = results.records.iter();
    records.filter(|run| run.outcome.is_final()).count()
}

/// Removes the less complete report inside `folder`, which now holds the report of these results, if
/// they lack none of the planned runs. Files that no report makes stay.
///
/// # Errors
/// When a file cannot be removed.
pub fn retire_partial(folder: &Path, results: &Results, planned: usize) -> Result<()> {
    use bench_experiment::Error;
    let partial = folder.join(PARTIAL);
    let (there, manifest) = (partial.join(RESULTS), partial.join(MANIFEST));
    if complete_runs(results) < planned {
        return Ok(());
    }
    let shown = store::read_with_imported(&there);
    let (Ok(shown), Ok(of_run)) = (shown, Manifest::read(&manifest)) else {
        return Ok(());
    };
    let names = Report::new(&shown, &of_run).names().into_iter();
    let mut files: Vec<PathBuf> = names.map(|name| partial.join(name)).collect();
    // What tells that there is a report goes last.
    files.extend([store::imported_file(&there), manifest, there]);
    for path in files {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(error).into());
            }
            _ => {}
        }
    }
    for emptied in [partial.join("figures"), partial] {
        // It stays where other files are in it.
        let _ = std::fs::remove_dir(emptied);
    }
    Ok(())
}

/// Writes the report of a sweep into a folder, or [inside](destination), and the table to `out` unless
/// `quiet`; returns the folder it is in.
///
/// # Errors
/// When a file cannot be written.
pub fn publish(
    folder: &Path,
    made: Made,
    started: Instant,
    replace: bool,
    quiet: bool,
    out: &mut impl Write,
) -> Result<PathBuf> {
    let Made {
        results,
        mut manifest,
        planned,
    } = made;
    let report = folder;
    let folder = destination(report, &results, planned, replace);
    let there = folder.join(RESULTS);
    store::write(&there, &results)?;
    let imported = store::read_imported(&report.join(RESULTS))?;
    if let Some(imported) = imported.as_ref().filter(|_| folder != report) {
        store::write_imported(&there, imported)?;
    }
    let shown = results.clone().with_imported(imported);
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    Report {
        findings: &findings(&results)?,
        ..Report::new(&shown, &manifest)
    }
    .write(&folder)?;
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    manifest.write(&folder.join(MANIFEST))?;
    retire_partial(report, &results, planned)?;
    if quiet {
        return Ok(folder);
    }
    print(out, &terminal_table(&shown, 80))?;
    let report = folder.join("index.html");
    let seconds = manifest.wall_seconds;
    print(
        out,
        &format!("\nReport: {} ({seconds:.1} s)\n", report.display()),
    )?;
    Ok(folder)
}

/// What results say of the claims that rest on their suite, for its report.
///
/// # Errors
/// When a statistic fails.
pub fn findings(results: &Results) -> Result<Vec<Finding>> {
    let judgements = Claims::built_in()?.judged_by(results)?;
    Ok(judgements.iter().map(Finding::from).collect())
}

/// That no run failed.
///
/// # Errors
/// How many did.
pub fn none_failed(failed: usize, total: usize) -> Result<()> {
    match failed {
        0 => Ok(()),
        failed => Err(Error::RunsFailed { failed, total }),
    }
}
