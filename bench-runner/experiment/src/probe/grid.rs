//! Values over a plane.

/// Values at places in two directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The places in the first direction, ascending.
    pub x: Vec<f64>,
    /// The places in the second.
    pub y: Vec<f64>,
    /// `values[j][i]` is the value at `x[i]` and `y[j]`.
    pub values: Vec<Vec<f64>>,
}
