//! Which figures and tables there are, what each needs and how it is drawn: `reports/figures.toml`, read
//! and checked, and turned into charts and tables.

mod draw;
mod entry;
mod source;
mod tables;

pub use entry::{CostAxis, Drawing, FigureCatalogue, FigureEntry, Need, Reference};
pub use source::{FigureSource, Piece, PieceContent, StepCosts};
