//! `import`: the runs of another program beside a report's own.

use std::io::Write;
use std::path::{Path, PathBuf};

use bench_experiment::import::{Destination, Import};
use bench_experiment::store::{self, Results};
use clap::Parser;

use super::input::as_written;
use super::publish::writable;
use super::report::{self, ReportCommand};
use super::terminal::print;
use crate::error::{Error, Result};

#[derive(Debug, Parser)]
pub struct ImportCommand {
    /// The table of runs, .csv or .parquet: a row for each measurement
    file: PathBuf,
    /// The optimizer's name; of several in the column `optimizer`, what stands before their names [default: the names
    /// in that column]
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// The report that shows them: its folder, or a suite or experiment file for reports/NAME
    #[arg(long, value_name = "REPORT|SUITE|FILE.toml")]
    into: String,
    /// The optimizer's settings in words, for the report
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Open the report in the browser
    #[arg(long)]
    open: bool,
}

/// Checks the runs, keeps them beside the report's results, and makes the report again if it is there.
///
/// # Errors
/// When the table or the report cannot be read, or the report cannot be written.
pub fn run(options: &ImportCommand, out: &mut impl Write) -> Result<()> {
    let import = Import {
        file: &options.file,
        label: options.label.as_deref(),
        note: options.note.as_deref(),
    };
    let as_folder = Path::new(&options.into);
    let (folder, read) = if as_folder.is_dir() {
        let read = import.read(&Destination::from(&of_one(options, as_folder)?))?;
        (as_folder.to_owned(), read)
    } else {
        let experiment = as_written(&options.into)?;
        let folder = Path::new("reports").join(&experiment.name);
        (folder, import.read(&Destination::from(&experiment))?)
    };
    let results = folder.join("results.parquet");
    let before = store::read_imported(&results)?;
    writable(&folder)?;
    let (runs, imported) = (read.records.len(), joined(before, read.clone()));
    store::write_imported(&results, &imported)?;
    let labels: Vec<&str> = read
        .optimizers
        .iter()
        .map(|own| own.label.as_str())
        .collect();
    let file = store::imported_file(&results);
    let text = format!(
        "{}: {runs} run{}, in {}\n",
        labels.join(", "),
        if runs == 1 { "" } else { "s" },
        file.display()
    );
    print(out, &text)?;
    if !results.exists() {
        let into = &options.into;
        return print(
            out,
            &format!("They are shown once `bench-runner ablation {into}` has run.\n"),
        );
    }
    let report = ReportCommand {
        from: vec![folder],
        out: None,
        replace: false,
        open: options.open,
    };
    report::run(&report, out)
}

/// The results of a report that can take imported runs.
fn of_one(options: &ImportCommand, folder: &Path) -> Result<Results> {
    let results = store::read(&folder.join("results.parquet"))?;
    match results.problems.iter().all(|problem| problem.suite == results.suite) {
        true => Ok(results),
        false => Err(Error::Flag {
            flag: "into".into(),
            value: options.into.clone(),
            reason: "this report shows several side by side: import into one of them, then make it again".into(),
        }),
    }
}

/// Imported runs with those that were imported before, but for the optimizers that are imported anew.
fn joined(before: Option<Results>, mut read: Results) -> Results {
    let Some(mut all) = before else {
        return read;
    };
    let is_anew = |label: &str| read.optimizers.iter().any(|own| own.label == label);
    all.optimizers.retain(|own| !is_anew(&own.label));
    all.records.retain(|run| !is_anew(&run.cell.optimizer));
    all.optimizers.append(&mut read.optimizers);
    all.records.append(&mut read.records);
    all
}
