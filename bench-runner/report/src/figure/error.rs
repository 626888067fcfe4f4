//! What can go wrong when charts are drawn.

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

    /// The size asked for is too small.
    #[error("chart `{chart}` needs at least {width}x{height} pixels")]
    Size {
        /// The chart's name.
        chart: String,
        /// The least width.
        width: u32,
        /// The least height.
        height: u32,
    },
}

/// The result of drawing.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for Error {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Draw(error.to_string())
    }
}
