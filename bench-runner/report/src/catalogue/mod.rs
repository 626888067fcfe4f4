//! Which figures and tables there are, what each needs and how it is drawn: `reports/figures.toml`, read
//! and checked, and turned into charts and tables.

mod draw;
mod entry;
mod measured;
mod tables;

pub use entry::{Catalogue, Drawing, Entry, Need, Reference, Size};
pub use measured::{Measured, Piece, PieceContent, StepCosts};
