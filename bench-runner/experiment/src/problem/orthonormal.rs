//! Vectors of unit length that are orthogonal to each other.

use bench_functions::lanes::{add_scaled, dot};

/// Gram–Schmidt, each column twice, which leaves no more than rounding between them (Giraud, Langou
/// and Rozložník 2005).
pub(super) fn orthonormal(mut columns: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for k in 0..columns.len() {
        let (before, rest) = columns.split_at_mut(k);
        let column = &mut rest[0];
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(column, other);
                add_scaled(-along, other, column);
            }
            normalise(column);
        }
    }
    columns
}

pub(super) fn normalise(vector: &mut [f64]) {
    let norm = dot(vector, vector).sqrt();
    for v in vector {
        *v /= norm;
    }
}
