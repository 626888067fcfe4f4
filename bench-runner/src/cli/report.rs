//! `report`: the report of results that are there already.

use std::io::Write;
use std::path::PathBuf;

use clap::Parser;

use super::{plan_report, print, results_file};
use crate::Result;
use crate::report::Report;
use crate::store::{Manifest, Results};

#[derive(Debug, Parser)]
pub(super) struct ReportCommand {
    /// Reports' folders, each with results.parquet and manifest.json, or one plan.json
    #[arg(value_name = "REPORT", required = true)]
    from: Vec<PathBuf>,
    /// Where the report goes [default: the first report's folder; of several, reports/NAMES]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Open it in the browser
    #[arg(long)]
    open: bool,
}

/// Makes the report.
///
/// # Errors
/// When results cannot be read or the report cannot be written.
pub(super) fn run(options: &ReportCommand, out: &mut impl Write) -> Result<()> {
    if let [plan] = options.from.as_slice()
        && plan
            .extension()
            .is_some_and(|extension| extension == "json")
    {
        return plan_report::report(plan, options.out.as_deref(), out);
    }
    let mut sets = Vec::new();
    let mut manifests = Vec::new();
    for folder in &options.from {
        let results = results_file(folder);
        sets.push(crate::store::read(&results)?);
        manifests.push(Manifest::read(&results.with_file_name("manifest.json"))?);
    }
    let several = sets.len() > 1;
    let (Some(results), Some(manifest)) = (Results::joined(sets), Manifest::joined(manifests))
    else {
        return Ok(());
    };
    let folder = match (&options.out, options.from.first()) {
        (Some(folder), _) => folder.clone(),
        (None, Some(folder)) if !several && folder.is_dir() => folder.clone(),
        _ => PathBuf::from("reports").join(&results.suite),
    };
    std::fs::create_dir_all(&folder).map_err(|error| crate::Error::Output {
        path: folder.clone(),
        reason: error.to_string(),
    })?;
    Report {
        findings: &super::claims::findings(&results)?,
        ..Report::new(&results, &manifest)
    }
    .write(&folder)?;
    crate::store::write(&folder.join("results.parquet"), &results)?;
    manifest.write(&folder.join("manifest.json"))?;
    let page = folder.join("index.html");
    print(out, &format!("Report: {}\n", page.display()))?;
    if options.open {
        super::open(&page)?;
    }
    Ok(())
}
