//! Functions in closed form, in f64, with optional gradient noise. What they compute is in the crate
//! `bench_functions`; here are their settings, one file for each kind.
//!
//! To add a kind of functions that are chosen by name: write its settings beside [`ScalableConfig`]
//! with the trait `Listed`.

mod bbob;
mod classic;
mod invalid;
mod listed;
mod mgh;
mod problem;
mod quadratic;
mod scalable;
mod steps;

pub use bbob::BbobConfig;
pub use classic::FunctionConfig;
pub use mgh::MghConfig;
pub use problem::FunctionProblem;
pub use quadratic::QuadraticConfig;
pub use scalable::ScalableConfig;
