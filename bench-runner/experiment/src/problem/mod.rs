//! What is minimized: test functions, finite sums, smooth least squares, image classification,
//! language modelling, differential equations. Each problem gives an objective for every step and a
//! measurement that costs the optimizer nothing.
//!
//! To add a kind of problem: write its file beside these, give its settings the traits
//! [`Kind`](crate::settings::Kind) and [`ProblemSettings`], and add it to
//! [`Registry::built_in`](crate::registry::Registry::built_in). A crate of your own does the same
//! without a change here.

mod batch;
mod classification;
mod fault;
mod finite_sum;
mod function;
mod language;
mod least_squares;
mod orthonormal;
mod physics;
mod precision;
mod start;
mod traits;
mod values;

pub use classification::{ClassificationConfig, ClassificationProblem, Scaling};
pub use fault::Fault;
pub use finite_sum::{FiniteSumConfig, FiniteSumProblem, SampleLoss};
pub use function::{
    BbobConfig, FunctionConfig, FunctionProblem, MghConfig, QuadraticConfig, ScalableConfig,
};
pub use language::{LanguageConfig, LanguageProblem};
pub use least_squares::{
    AutoencoderTask, FactorisationTask, Images, LeastSquaresConfig, LeastSquaresProblem,
    RegressionTask, SmoothFunction, Task, TeacherTask,
};
pub use physics::{PhysicsConfig, PhysicsProblem};
pub use precision::Precision;
pub use traits::{
    Draw, Environment, Measurement, Plane, Problem, ProblemConfig, ProblemSettings, Work,
};

/// The kinds of models that classification and language problems may name, with what they are.
pub const MODELS: &[(&str, &str)] = models::ModelSpec::KINDS;
