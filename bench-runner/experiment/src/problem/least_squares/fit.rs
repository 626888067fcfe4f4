//! What a task says of itself.

use models::{Model, Scope};

use super::samples::Samples;
use crate::error::Result;
use crate::problem::traits::Environment;
use crate::settings::Invalid;

/// What a task says of itself. Its samples are the same in all runs.
pub(super) trait Fit {
    /// Whether the settings can be used.
    fn check(&self) -> Result<(), Invalid>;

    /// A title for reports.
    fn title(&self) -> String;

    /// What is fitted, with first values drawn by the scope's seed.
    fn model(&self, scope: &Scope) -> models::Result<Box<dyn Model>>;

    /// The inputs of a sample.
    fn inputs(&self) -> usize;

    /// What it is fitted to, and samples to test it on, where there are some.
    fn samples(&self, environment: &Environment) -> Result<(Samples, Option<Samples>)>;

    /// f*, where it is known.
    fn minimum(&self) -> Option<f64> {
        None
    }

    /// The dataset, where there is one.
    fn data(&self) -> Option<&'static str> {
        None
    }
}
