//! What a run is expected to take.

use serde::{Deserialize, Serialize};

/// What a run is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Demand {
    /// Seconds, if it makes all its evaluations; 0 if unknown.
    pub seconds: f64,
    /// Memory of its own in bytes, beside the data that all runs share; 0 if unknown.
    pub bytes: u64,
}
