//! Optimizer state as named tensors and metadata, in memory and on disk.

use std::collections::BTreeMap;

use candle_core::Tensor;

/// Everything an optimizer needs to continue bit for bit.
#[derive(Debug, Clone)]
pub struct State {
    /// The optimizer's kind, for example `adam`.
    pub kind: String,
    /// Scalars: counters, last losses, records.
    pub metadata: serde_json::Value,
    /// Vectors: moments, curvature pairs.
    pub tensors: BTreeMap<String, Tensor>,
}
