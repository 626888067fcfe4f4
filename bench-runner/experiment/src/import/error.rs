//! What is wrong with a table of runs, and where.

use std::path::PathBuf;

/// Why a table of runs cannot be imported.
#[derive(Debug, thiserror::Error)]
#[error("{}{}{}: {reason}", .file.display(), in_line(.line), in_column(.column))]
pub struct ImportError {
    /// The file.
    pub file: PathBuf,
    /// The line of a CSV file, or the row of a Parquet file, in words.
    pub line: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

fn in_line(line: &Option<String>) -> String {
    line.as_ref()
        .map_or_else(String::new, |line| format!(", {line}"))
}

fn in_column(column: &Option<String>) -> String {
    let text = |column: &String| format!(", column `{column}`");
    column.as_ref().map_or_else(String::new, text)
}
