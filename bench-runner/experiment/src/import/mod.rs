//! Runs that another program made, read from a table of their measurements (`docs/importing.md`).

mod error;
mod runs;
mod table;

pub use error::ImportError;
pub use runs::{COLUMNS, Column, Destination, Import};
