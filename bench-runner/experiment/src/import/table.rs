//! Tables as they come, CSV or Parquet: named columns of texts, each with its place in the file.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use bench_data::guarded;
use polars::prelude::{DataType, ParallelStrategy, ParquetReader, SerReader};

use super::error::ImportError;

/// Bytes of a file, at most.
const MOST_BYTES: u64 = 1 << 28;
/// Rows of a table, at most.
const MOST_ROWS: usize = 1_000_000;
/// Columns of a table, at most; many more than are known.
const MOST_COLUMNS: usize = 100;

/// A table of texts; an empty one is a value that is not there.
pub(super) struct Table {
    file: PathBuf,
    /// The names of the columns.
    pub(super) columns: Vec<String>,
    /// A text for each column, row by row.
    cells: Vec<String>,
    /// The line of each row in the file; none where a file has no lines.
    lines: Vec<u64>,
    /// The file's content.
    pub(super) bytes: Vec<u8>,
}

impl Table {
    /// Reads a file, by its extension.
    pub(super) fn read(file: &Path) -> Result<Self, ImportError> {
        let mut table = Self {
            file: file.into(),
            columns: Vec::new(),
            cells: Vec::new(),
            lines: Vec::new(),
            bytes: Vec::new(),
        };
        let extension = file.extension().and_then(|extension| extension.to_str());
        let read = match extension {
            Some("csv") => Self::fill_from_csv,
            Some("parquet") => Self::fill_from_parquet,
            _ => return Err(table.error("the file's name must end with .csv or .parquet")),
        };
        let io = |error: std::io::Error| table.error(format!("cannot be read: {error}"));
        let size = std::fs::metadata(file).map_err(io)?.len();
        if size > MOST_BYTES {
            return Err(table.error(format!(
                "{size} bytes: at most {MOST_BYTES} are read; keep fewer measurements of each run"
            )));
        }
        table.bytes = std::fs::read(file).map_err(io)?;
        read(&mut table)?;
        if table.rows() == 0 {
            return Err(table.error("there are no rows"));
        }
        Ok(table)
    }

    fn fill_from_csv(&mut self) -> Result<(), ImportError> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(Cursor::new(self.bytes.clone()));
        let header = reader.headers().map_err(|error| self.error(said(&error)))?;
        self.columns = header.iter().map(|name| name.trim().to_owned()).collect();
        self.check_size(0)?;
        for record in reader.records() {
            let record = record.map_err(|error| self.error(said(&error)))?;
            let line = record.position().map_or(0, csv::Position::line);
            self.lines.push(line);
            if record.len() != self.columns.len() {
                let reason = format!(
                    "{} values, but the header names {} columns",
                    record.len(),
                    self.columns.len()
                );
                return Err(self.error_in(self.lines.len() - 1, None, reason));
            }
            self.cells
                .extend(record.iter().map(|cell| cell.trim().to_owned()));
            self.check_size(self.lines.len())?;
        }
        Ok(())
    }

    fn fill_from_parquet(&mut self) -> Result<(), ImportError> {
        // The library asserts on some damaged files.
        let columns = guarded(|| -> Result<_, String> {
            let text = |error: polars::prelude::PolarsError| error.to_string();
            let mut reader = ParquetReader::new(Cursor::new(&self.bytes));
            let rows = reader.get_metadata().map_err(text)?.num_rows;
            self.check_size(rows).map_err(|error| error.reason)?;
            // On this thread alone, where a panic is caught.
            let frame = reader.read_parallel(ParallelStrategy::None).finish();
            let mut columns = Vec::new();
            for column in frame.map_err(text)?.columns() {
                let name = column.name().to_string();
                let texts = column.cast(&DataType::String).map_err(text)?;
                let texts = texts
                    .str()
                    .map_err(|_| format!("column `{name}` is neither numbers nor text"))?;
                let texts = texts.iter().map(|text| text.unwrap_or_default().to_owned());
                columns.push((name, texts.collect::<Vec<String>>()));
            }
            Ok(columns)
        });
        let columns = columns
            .unwrap_or_else(|| Err("its structure is damaged".into()))
            .map_err(|reason| self.error(reason))?;
        self.columns = columns.iter().map(|(name, _)| name.clone()).collect();
        let rows = columns.first().map_or(0, |(_, texts)| texts.len());
        self.check_size(rows)?;
        for row in 0..rows {
            let texts = columns.iter().map(|(_, texts)| texts[row].clone());
            self.cells.extend(texts);
        }
        Ok(())
    }

    fn check_size(&self, rows: usize) -> Result<(), ImportError> {
        if self.columns.len() > MOST_COLUMNS {
            return Err(self.error(format!(
                "{} columns: at most {MOST_COLUMNS} are read",
                self.columns.len()
            )));
        }
        if rows > MOST_ROWS {
            return Err(self.error(format!(
                "more than {MOST_ROWS} rows: keep fewer measurements of each run"
            )));
        }
        Ok(())
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.cells.len() / self.columns.len().max(1)
    }

    /// What stands in a row and a column; nothing where there is no such column.
    pub(super) fn cell(&self, row: usize, column: Option<usize>) -> Option<&str> {
        let cell = &self.cells[row * self.columns.len() + column?];
        (!cell.is_empty()).then_some(cell.as_str())
    }

    /// An error on the file as a whole.
    pub(super) fn error(&self, reason: impl Into<String>) -> ImportError {
        ImportError {
            file: self.file.clone(),
            line: None,
            column: None,
            reason: reason.into(),
        }
    }

    /// An error in a row.
    pub(super) fn error_in(
        &self,
        row: usize,
        column: Option<&str>,
        reason: impl Into<String>,
    ) -> ImportError {
        let line = match self.lines.get(row) {
            Some(line) => format!("line {line}"),
            None => format!("row {}", row + 1),
        };
        ImportError {
            line: Some(line),
            column: column.map(str::to_owned),
            ..self.error(reason)
        }
    }
}

/// What the reader of CSV says, without its own name before it.
fn said(error: &csv::Error) -> String {
    match error.position() {
        Some(at) => format!("line {}: this is no text in UTF-8", at.line()),
        None => error.to_string(),
    }
}
