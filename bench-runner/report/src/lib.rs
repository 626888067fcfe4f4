//! What people read: the HTML report, tables in Markdown, LaTeX and CSV, figures, and text for the terminal.
//!
//! Everything here is made of results and what the analysis says of them; the same input gives the same bytes.

mod advice;
mod by_method;
pub mod catalogue;
mod comparison;
mod contact_sheet;
mod contents;
mod csv;
mod discrepancy;
mod document;
mod error;
pub mod figure;
mod files;
mod gallery;
mod headline;
mod html;
pub mod live;
mod name;
pub mod number;
mod page;
mod performance;
mod reference;
mod report;
mod reproduction;
mod summary;
mod table;
mod terminal;
mod verdicts;

pub use advice::{Advice, Known, geometry};
pub use comparison::comparison_text;
pub use contact_sheet::contact_sheet;
pub use contents::{Finding, Report};
pub use document::renewed;
pub use error::{Error, Result};
pub use files::write_files;
pub use gallery::{Drawn, gallery};
pub use name::Names;
pub use reference::{check_text, replay_text};
pub use table::Table;
pub use terminal::terminal_table;
pub use verdicts::verdicts;
