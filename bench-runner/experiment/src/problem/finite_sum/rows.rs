//! The samples' features.

use bench_data::SparseSet;
use bench_functions::lanes::{add_scaled, add_sparse, dot, sparse_dot};

/// One row of features for each sample.
#[derive(Debug)]
pub(super) enum Rows {
    /// All entries, row after row.
    Dense { values: Vec<f64>, dimension: usize },
    /// The entries other than zero.
    Sparse(SparseSet),
}

impl Rows {
    /// Features of a sample.
    pub(super) fn dimension(&self) -> usize {
        match self {
            Self::Dense { dimension, .. } => *dimension,
            Self::Sparse(set) => set.features(),
        }
    }

    /// Bytes held, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Dense { values, .. } => 8 * values.len(),
            Self::Sparse(set) => (0..set.len()).map(|row| 8 * set.row(row).0.len()).sum(),
        }
    }

    fn dense(values: &[f64], dimension: usize, row: usize) -> &[f64] {
        &values[row * dimension..(row + 1) * dimension]
    }

    /// aᵢᵀx.
    pub(super) fn dot(&self, row: usize, x: &[f64]) -> f64 {
        match self {
            Self::Dense { values, dimension } => dot(Self::dense(values, *dimension, row), x),
            Self::Sparse(set) => {
                let (columns, values) = set.row(row);
                sparse_dot(columns, values, x)
            }
        }
    }

    /// Adds `factor`·aᵢ to `sum`.
    pub(super) fn add(&self, row: usize, factor: f64, sum: &mut [f64]) {
        match self {
            Self::Dense { values, dimension } => {
                add_scaled(factor, Self::dense(values, *dimension, row), sum);
            }
            Self::Sparse(set) => {
                let (columns, values) = set.row(row);
                add_sparse(factor, columns, values, sum);
            }
        }
    }

    /// Adds the lower triangle of `factor`·aᵢaᵢᵀ to a matrix that is stored row after row.
    pub(super) fn add_square(&self, row: usize, factor: f64, matrix: &mut [f64]) {
        let dimension = self.dimension();
        match self {
            Self::Dense { values, .. } => {
                let row = Self::dense(values, dimension, row);
                for (j, target) in matrix.chunks_exact_mut(dimension).enumerate() {
                    add_scaled(factor * row[j], &row[..=j], target);
                }
            }
            Self::Sparse(set) => {
                let (columns, values) = set.row(row);
                for (j, (&column, &a)) in columns.iter().zip(values).enumerate() {
                    let target = &mut matrix[column as usize * dimension..];
                    // Columns ascend, so that these are the ones up to the diagonal.
                    add_sparse(factor * f64::from(a), &columns[..=j], &values[..=j], target);
                }
            }
        }
    }
}
