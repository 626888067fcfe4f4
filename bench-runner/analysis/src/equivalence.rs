//! What counts as equal.

/// Costs and losses whose ratio is within this factor are equal for all practical purposes: ±10 %.
pub const EQUIVALENCE: f64 = 1.1;
