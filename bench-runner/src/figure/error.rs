//! What can go wrong when charts are drawn.

use std::path::PathBuf;

use plotters::drawing::DrawingAreaErrorKind;

/// The error of drawing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// plotters could not draw.
    #[error("cannot draw the chart: {0}")]
    Draw(String),

    /// The SVG could not be converted.
    #[error("cannot convert chart `{chart}` to {format}: {reason}")]
    Convert {
        /// The chart's name.
        chart: String,
        /// The format's extension.
        format: &'static str,
        /// What the converter says.
        reason: String,
    },

    /// A file could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The result of drawing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for Error {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Draw(error.to_string())
    }
}
