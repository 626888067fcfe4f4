//! The mean loss over samples, its gradient and its curvature.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::rows::Rows;

/// The loss φ(z, y) of one sample with the prediction z = aᵀx and the target y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleLoss {
    /// ½(z − y)².
    LeastSquares,
    /// ln(1 + exp(−yz)) with y = ±1.
    Logistic,
}

impl fmt::Display for SampleLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeastSquares => "Least squares",
            Self::Logistic => "Logistic regression",
        })
    }
}

impl SampleLoss {
    /// φ and ∂φ/∂z.
    fn value_and_slope(self, z: f64, y: f64) -> (f64, f64) {
        match self {
            Self::LeastSquares => {
                let residual = z - y;
                (0.5 * residual * residual, residual)
            }
            Self::Logistic => {
                // exp of a negative number, so that nothing overflows.
                let margin = y * z;
                let small = (-margin.abs()).exp();
                let value = small.ln_1p() + (-margin).max(0.0);
                let wrong = if margin > 0.0 { small } else { 1.0 };
                (value, -y * wrong / (1.0 + small))
            }
        }
    }

    /// ∂²φ/∂z².
    fn curvature(self, z: f64) -> f64 {
        match self {
            Self::LeastSquares => 1.0,
            Self::Logistic => {
                let small = (-z.abs()).exp();
                small / ((1.0 + small) * (1.0 + small))
            }
        }
    }
}

/// f(x) = (1/n) Σᵢ φ(aᵢᵀx, yᵢ) + ½ λ ‖x‖².
#[derive(Debug)]
pub(super) struct FiniteSum {
    pub(super) rows: Rows,
    /// yᵢ.
    pub(super) targets: Vec<f64>,
    pub(super) loss: SampleLoss,
    /// λ.
    pub(super) regularisation: f64,
}

/// Samples that one thread adds up. Partial sums are added in their order, so that no number depends
/// on how many threads there are.
const CHUNK: usize = 512;
/// Matrices that are added up at the same time, which bounds the memory that curvature takes.
const MATRICES: usize = 8;

impl FiniteSum {
    /// The number of samples n.
    pub(super) fn samples(&self) -> usize {
        self.targets.len()
    }

    /// The number of variables d.
    pub(super) fn dimension(&self) -> usize {
        self.rows.dimension()
    }

    /// The mean over a batch instead of all samples, and its gradient.
    pub(super) fn evaluate(&self, batch: &[u32], x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut value = 0.0;
        if batch.len() <= CHUNK {
            value += self.add(batch, x, gradient);
        } else {
            let parts: Vec<(f64, Vec<f64>)> = batch
                .par_chunks(CHUNK)
                .map(|chunk| {
                    let mut gradient = vec![0.0; x.len()];
                    (self.add(chunk, x, &mut gradient), gradient)
                })
                .collect();
            for (part, slopes) in parts {
                value += part;
                for (g, slope) in gradient.iter_mut().zip(slopes) {
                    *g += slope;
                }
            }
        }
        let count = batch.len() as f64;
        let mut square = 0.0;
        for (g, x) in gradient.iter_mut().zip(x) {
            *g = *g / count + self.regularisation * x;
            square += x * x;
        }
        value / count + 0.5 * self.regularisation * square
    }

    /// φ of each sample of a batch.
    pub(super) fn losses(&self, batch: &[u32], x: &[f64]) -> Vec<f64> {
        let loss = |sample: &u32| {
            let i = *sample as usize;
            let z = self.rows.dot(i, x);
            self.loss.value_and_slope(z, self.targets[i]).0
        };
        batch.par_iter().map(loss).collect()
    }

    /// Σ φ over samples; adds Σ ∇φ to `gradient`.
    fn add(&self, samples: &[u32], x: &[f64], gradient: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for &sample in samples {
            let i = sample as usize;
            let (loss, slope) = self
                .loss
                .value_and_slope(self.rows.dot(i, x), self.targets[i]);
            value += loss;
            self.rows.add(i, slope, gradient);
        }
        value
    }

    /// The lower triangle of the Hessian over all samples, row after row.
    pub(super) fn hessian(&self, x: &[f64]) -> Vec<f64> {
        let (count, dimension) = (self.samples(), self.dimension());
        let samples: Vec<usize> = (0..count).collect();
        let parts: Vec<Vec<f64>> = samples
            .par_chunks(count.div_ceil(MATRICES))
            .map(|chunk| {
                let mut matrix = vec![0.0; dimension * dimension];
                for &i in chunk {
                    let curvature = self.loss.curvature(self.rows.dot(i, x));
                    self.rows
                        .add_square(i, curvature / count as f64, &mut matrix);
                }
                matrix
            })
            .collect();
        let mut hessian = vec![0.0; dimension * dimension];
        for part in parts {
            for (h, part) in hessian.iter_mut().zip(part) {
                *h += part;
            }
        }
        for i in 0..dimension {
            hessian[i * dimension + i] += self.regularisation;
        }
        hessian
    }

    /// The share of samples on whose side of zero the prediction lies, where targets are ±1.
    pub(super) fn accuracy(&self, x: &[f64]) -> f64 {
        let right = |i: &usize| self.rows.dot(*i, x) * self.targets[*i] > 0.0;
        let hits = (0..self.samples()).filter(right).count();
        hits as f64 / self.samples() as f64
    }
}
