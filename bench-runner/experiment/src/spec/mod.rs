//! Experiment files: which problems, optimizers, seeds and budgets; read from TOML and checked
//! before anything runs.

mod check;
mod executor;
mod experiment;
mod locate;
mod parse;
mod scale;
mod scaled;
mod schema;
mod selection;
mod stability;
mod suite;
mod tuning;

pub use executor::{ExecutorConfig, ExecutorKind};
pub(crate) use experiment::is_zero;
pub use experiment::{Experiment, OptimizerEntry, ProblemEntry, applies, method};
pub use locate::SpecError;
pub use parse::IMPORTED;
pub(crate) use parse::{check_settings, check_text};
pub use scale::{Cut, Scale};
pub use selection::Selection;
pub use stability::Stability;
pub use suite::{SUITES, Suite};
pub use tuning::{JudgedBy, Trial, Tuning};
