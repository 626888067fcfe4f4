//! Runs of other programs beside a report's own: a file of its own, so that no stored run and no claim ever rests on
//! them. It has the layout of `results.parquet`, without problems.

use std::path::{Path, PathBuf};

use super::parquet::{read, write};
use super::results::Results;
use crate::error::{Error, Result};
use crate::run::RunRecord;

/// The file beside `results.parquet`.
const FILE: &str = "imported.parquet";

/// The file of imported runs beside a report's results.
pub fn imported_file(results: &Path) -> PathBuf {
    results.with_file_name(FILE)
}

/// The imported runs beside a report's results, if there are any.
///
/// # Errors
/// When they cannot be read.
pub fn read_imported(results: &Path) -> Result<Option<Results>> {
    let path = imported_file(results);
    if !path.exists() {
        return Ok(None);
    }
    let mut imported = read(&path)?;
    if !imported.optimizers.iter().all(|own| own.is_imported()) {
        let reason = "it holds runs that are not imported";
        return Err(Error::damaged(&path)(reason));
    }
    for record in &mut imported.records {
        record.seconds = record.last().map_or(f64::NAN, |last| last.seconds);
    }
    Ok(Some(imported))
}

/// Writes imported runs beside a report's results.
///
/// # Errors
/// When the file cannot be written.
pub fn write_imported(results: &Path, imported: &Results) -> Result<()> {
    let mut imported = imported.clone();
    for record in imported.records.iter_mut().filter(is_untimed) {
        // JSON has no NaN; the curve's last point tells it.
        record.seconds = 0.0;
    }
    write(&imported_file(results), &imported)
}

fn is_untimed(record: &&mut RunRecord) -> bool {
    record.seconds.is_nan()
}

/// A report's results with the imported runs beside them.
///
/// # Errors
/// When either cannot be read.
pub fn read_with_imported(path: &Path) -> Result<Results> {
    Ok(read(path)?.with_imported(read_imported(path)?))
}

impl Results {
    /// These results and imported runs in one set, with a note for each imported optimizer. Imported runs on problems
    /// that are not here are left out, which the note says.
    #[must_use]
    pub fn with_imported(mut self, imported: Option<Self>) -> Self {
        for optimizer in imported.iter().flat_map(|imported| &imported.optimizers) {
            let records = imported.iter().flat_map(|imported| &imported.records);
            let records = records.filter(|run| run.cell.optimizer == optimizer.label);
            let problems = &self.problems;
            let is_here =
                |run: &&RunRecord| problems.iter().any(|own| own.label == run.cell.problem);
            let (here, elsewhere): (Vec<&RunRecord>, Vec<_>) = records.partition(is_here);
            let left_out = match elsewhere.len() {
                0 => String::new(),
                count => format!(" {count} of its runs are on problems that are not here."),
            };
            self.caveats.push(format!(
                "{}: runs of another program ({}). Its evaluations and times were counted there, not here; its starts \
                 and batches need not be those of our runs with the same seed.{left_out}",
                optimizer.label, optimizer.settings
            ));
            if here.is_empty() {
                continue;
            }
            self.records.extend(here.into_iter().cloned());
            self.optimizers.push(optimizer.clone());
        }
        self
    }

    /// The imported runs among these, as they stand in a file beside a report's results.
    #[must_use]
    pub fn imported(&self) -> Option<Self> {
        let optimizers = self.optimizers.iter().filter(|own| own.is_imported());
        let optimizers: Vec<_> = optimizers.cloned().collect();
        if optimizers.is_empty() {
            return None;
        }
        let is_imported =
            |run: &&RunRecord| optimizers.iter().any(|own| own.label == run.cell.optimizer);
        Some(Self {
            suite: self.suite.clone(),
            description: String::new(),
            caveats: Vec::new(),
            tuning: None,
            stability: None,
            problems: Vec::new(),
            records: self.records.iter().filter(is_imported).cloned().collect(),
            optimizers,
        })
    }
}
