//! A matrix as a product of two.

use bench_stats::random::Stream;
use candle_core::Tensor;
use models::layer::{Linear, LinearConfig};
use models::{Init, Model, Pass, Scope, Tensors};
use serde::{Deserialize, Serialize};

use super::fit::Fit;
use super::samples::{Matrix, Samples, check_widths};
use crate::error::Result;
use crate::problem::orthonormal::orthonormal;
use crate::problem::start::normals;
use crate::problem::traits::Environment;
use crate::settings::Invalid;

/// An m×n matrix M of rank r as a product UVᵀ with k columns in U and V: f = ‖UVᵀ − M‖² / 2m. All
/// local minima are global ones (Baldi and Hornik 1989), and f* is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorisationTask {
    /// m.
    pub rows: usize,
    /// n.
    pub columns: usize,
    /// r.
    pub rank: usize,
    /// k.
    pub factors: usize,
    /// κ ≥ 1: the largest singular value of M over the r-th; they are spaced geometrically.
    pub condition: f64,
}

impl FactorisationTask {
    /// The singular values of M, with ‖M‖² = m, so that f(0) = ½.
    fn singular_values(&self) -> Vec<f64> {
        let last = (self.rank.max(2) - 1) as f64;
        let values: Vec<f64> = (0..self.rank)
            .map(|i| self.condition.powf(-(i as f64) / last))
            .collect();
        let square: f64 = values.iter().map(|value| value * value).sum();
        let scale = (self.rows as f64 / square).sqrt();
        values.iter().map(|value| scale * value).collect()
    }

    /// The entries of U and V at the start have this standard deviation: UVᵀ is then as large as M.
    fn deviation(&self) -> f64 {
        ((self.factors * self.columns) as f64).powf(-0.25)
    }
}

impl Fit for FactorisationTask {
    fn check(&self) -> Result<(), Invalid> {
        for (key, size) in [
            ("rows", self.rows),
            ("columns", self.columns),
            ("factors", self.factors),
        ] {
            if size == 0 {
                return Err(Invalid::value(key, 0, "at least 1 is needed"));
            }
        }
        check_widths(
            "columns",
            &[self.rows, self.factors, self.columns],
            self.rows,
        )?;
        let most = self.rows.min(self.columns);
        if !(1..=most).contains(&self.rank) {
            let reason = format!(
                "a matrix of {} × {} has rank 1 to {most}",
                self.rows, self.columns
            );
            return Err(Invalid::value("rank", self.rank, reason));
        }
        if !(self.condition >= 1.0 && self.condition.is_finite()) {
            let reason = "a finite number of at least 1 is needed";
            return Err(Invalid::value("condition", self.condition, reason));
        }
        if self.rank == 1 && self.condition > 1.0 {
            let reason = "with `rank` = 1 there is one singular value: 1 is needed";
            return Err(Invalid::value("condition", self.condition, reason));
        }
        Ok(())
    }

    fn title(&self) -> String {
        format!(
            "Matrix factorisation, {} × {} of rank {}, {} factors, condition number {:e}",
            self.rows, self.columns, self.rank, self.factors, self.condition
        )
    }

    fn model(&self, scope: &Scope) -> models::Result<Box<dyn Model>> {
        let layer = |inputs, outputs| LinearConfig {
            bias: false,
            init: Some(Init::Normal {
                std: self.deviation(),
            }),
            ..LinearConfig::new(inputs, outputs)
        };
        Ok(Box::new(Factors {
            u: layer(self.rows, self.factors).build(&scope.child("u"))?,
            v: layer(self.factors, self.columns).build(&scope.child("v"))?,
            tensors: scope.clone().into_tensors(),
        }))
    }

    fn inputs(&self) -> usize {
        self.rows
    }

    /// The unit vectors, and the rows of M = AΣBᵀ with random orthonormal columns in A and B.
    fn samples(&self, _: &Environment) -> Result<(Samples, Option<Samples>)> {
        let (m, n) = (self.rows, self.columns);
        let mut draws = normals(0, Stream::Data, 0);
        let mut columns = |rows: usize| {
            let columns = (0..self.rank).map(|_| draws.by_ref().take(rows).collect());
            orthonormal(columns.collect())
        };
        let (left, right) = (columns(m), columns(n));
        let mut values = vec![0.0; m * n];
        for ((a, b), sigma) in left.iter().zip(&right).zip(self.singular_values()) {
            for (row, a) in values.chunks_exact_mut(n).zip(a) {
                for (value, b) in row.iter_mut().zip(b) {
                    *value += sigma * a * b;
                }
            }
        }
        let mut units = vec![0.0; m * m];
        for i in 0..m {
            units[i * m + i] = 1.0;
        }
        let samples = Samples {
            inputs: Matrix {
                values: units,
                columns: m,
            },
            targets: Matrix { values, columns: n },
        };
        Ok((samples, None))
    }

    /// Half the squares of the singular values that k factors leave (Eckart and Young 1936), over m.
    fn minimum(&self) -> Option<f64> {
        let left = self.singular_values().into_iter().skip(self.factors);
        Some(left.map(|value| value * value).sum::<f64>() / (2 * self.rows) as f64)
    }
}

/// Two linear layers without bias, whose weights are Uᵀ and V. Fed unit vectors, it gives rows of UVᵀ.
struct Factors {
    u: Linear,
    v: Linear,
    tensors: Tensors,
}

impl Model for Factors {
    fn forward(&self, input: &Tensor, _: Pass) -> candle_core::Result<Tensor> {
        self.v.forward(&self.u.forward(input)?)
    }

    fn tensors(&self) -> &Tensors {
        &self.tensors
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use bench_data::{Library, Silent};
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_matrix_has_the_chosen_singular_values() {
        let task = FactorisationTask {
            rows: 11,
            columns: 8,
            rank: 3,
            factors: 2,
            condition: 100.0,
        };
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let (samples, _) = task.samples(&environment).unwrap();
        let m = &samples.targets;
        let gram = |i: usize, j: usize| -> f64 {
            let rows = m.values.chunks_exact(m.columns);
            rows.map(|row| row[i] * row[j]).sum()
        };
        let trace: f64 = (0..8).map(|i| gram(i, i)).sum();
        let squares: f64 = (0..64).map(|k| gram(k / 8, k % 8).powi(2)).sum();
        // σ² are in the proportion 1 : 1e-2 : 1e-4, with the sum 11.
        let sum = 1.0101;
        assert!((trace - 11.0).abs() < 1e-12, "{trace}");
        let expected = (11.0 / sum) * (11.0 / sum) * (1.0 + 1e-4 + 1e-8);
        assert!((squares - expected).abs() < 1e-11 * expected, "{squares}");
        let minimum = task.minimum().unwrap();
        let expected = 0.5 * 1e-4 / sum;
        assert!((minimum - expected).abs() < 1e-15, "{minimum}");
    }
}
