//! What is minimized: test functions, image classification, language modelling. Each problem gives
//! an objective for every step and a measurement that costs the optimizer nothing.
//!
//! To add a kind of problem: write its file beside these, give its settings the traits
//! [`Kind`](crate::settings::Kind) and [`ProblemSettings`], and add it to
//! [`Registry::built_in`](crate::registry::Registry::built_in). A crate of your own does the same
//! without a change here.

mod batch;
mod classification;
mod fault;
pub mod function;
mod language;
mod precision;
mod traits;

pub use classification::{ClassificationConfig, ClassificationProblem, Scaling};
pub use fault::Fault;
pub use function::{FunctionConfig, FunctionProblem, QuadraticConfig};
pub use language::{LanguageConfig, LanguageProblem};
pub use precision::Precision;
pub use traits::{Draw, Environment, Measurement, Plane, Problem, ProblemConfig, ProblemSettings};
