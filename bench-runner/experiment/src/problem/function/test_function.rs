//! What a test function is.

/// A function with a closed-form gradient, a standard start and a known minimum.
pub struct TestFunction {
    /// The name in experiment files.
    pub name: &'static str,
    /// The name in reports.
    pub title: &'static str,
    /// The smallest dimension it is defined for.
    pub min_dimension: usize,
    /// The largest dimension it is defined for.
    pub max_dimension: usize,
    /// The standard starting point in a dimension.
    pub start: fn(usize) -> Vec<f64>,
    /// The global minimum's value in a dimension.
    pub minimum: fn(usize) -> f64,
    /// The value at the first argument; writes the gradient into the second.
    pub evaluate: fn(&[f64], &mut [f64]) -> f64,
}
