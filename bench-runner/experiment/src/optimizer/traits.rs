//! What the settings of an optimizer are.

use std::sync::Arc;

use optim::{Criterion, Optimizer, Parameters};

use crate::settings::{Configured, Kind, Settings};

/// The settings of a kind of optimizer.
pub trait OptimizerSettings: Settings {
    /// The optimizer of `parameters`.
    ///
    /// # Errors
    /// When a setting is out of range, naming it.
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>>;

    /// The learning rate, of the first phase where there are two.
    fn learning_rate(&self) -> f64;

    /// Vectors of the parameters' dimension that the optimizer holds, at most.
    fn vectors(&self) -> u64;

    /// The limit of evaluations in one step.
    fn evaluations_per_step(&self) -> u64 {
        1
    }

    /// Whether it asks for the gradient of the samples that a batch shares with the one before.
    fn needs_overlap(&self) -> bool {
        false
    }

    /// Whether it chooses the size of batches ([`Optimizer::samples_wanted`]).
    fn chooses_batches(&self) -> bool {
        false
    }

    /// Whether its numbers depend on the width of the processor's vectors, as those of Shampoo and SOAP do: the library that
    /// computes their eigenvectors and bases adds up in an order of its own.
    fn depends_on_vector_width(&self) -> bool {
        false
    }

    /// The switch criterion, of methods that have one.
    fn criterion(&self) -> Option<&Criterion> {
        None
    }

    /// The settings for a run whose first-order steps can make `evaluations`, where they hold shares of
    /// that budget; [`build`](Self::build) is asked of them.
    fn with_budget(&self, evaluations: u64) -> Option<OptimizerConfig> {
        let _ = evaluations;
        None
    }

    /// The settings for runs of `share` of the epochs, where they depend on how many there are.
    fn with_epochs(&self, share: f64) -> Option<OptimizerConfig> {
        let _ = share;
        None
    }
}

/// An optimizer in an experiment file.
pub type OptimizerConfig = Configured<dyn OptimizerSettings>;

impl<K: Kind + OptimizerSettings> From<K> for OptimizerConfig {
    fn from(settings: K) -> Self {
        Self::of::<K>(Arc::new(settings))
    }
}
