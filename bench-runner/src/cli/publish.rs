//! Reports of sweeps, written and shown.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use bench_analysis::claims::Claims;
use bench_experiment::session::Made;
use bench_experiment::store::{self, Results};
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

/// Writes the report of a sweep into a folder, and the table to `out` unless `quiet`.
///
/// # Errors
/// When a file cannot be written.
pub fn publish(
    folder: &Path,
    made: Made,
    started: Instant,
    quiet: bool,
    out: &mut impl Write,
) -> Result<()> {
    let Made {
        results,
        mut manifest,
        ..
    } = made;
    store::write(&folder.join("results.parquet"), &results)?;
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    Report {
        findings: &findings(&results)?,
        ..Report::new(&results, &manifest)
    }
    .write(folder)?;
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    manifest.write(&folder.join("manifest.json"))?;
    if quiet {
        return Ok(());
    }
    print(out, &terminal_table(&results, 80))?;
    let report = folder.join("index.html");
    let seconds = manifest.wall_seconds;
    print(
        out,
        &format!("\nReport: {} ({seconds:.1} s)\n", report.display()),
    )
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
