//! Samples with a chosen spectrum.

use bench_functions::lanes::dot;
use bench_stats::random::{Stream, stream, unit};
use rand_distr::{Distribution, StandardNormal};

use super::rows::Rows;
use super::sum::SampleLoss;
use crate::problem::orthonormal::{normalise, orthonormal};
use crate::settings::Invalid;

/// What is drawn. The same settings always give the same samples, whatever the run's seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Synthetic {
    pub(super) samples: usize,
    pub(super) dimension: usize,
    /// The condition number κ of AᵀA/n.
    pub(super) condition: f64,
    /// Whether one x makes every sample's loss as small as it can be.
    pub(super) interpolating: bool,
}

/// The standard deviation of noise in the targets of least squares; the predictions' is 1.
const NOISE: f64 = 0.5;
/// The standard deviation of the log-odds of logistic regression: about 85 % of the labels follow them.
const LOG_ODDS: f64 = 2.5;
/// The most numbers that are drawn, which bounds memory and time.
const MOST_NUMBERS: usize = 100_000_000;
/// The most variables: the Hessian and its factor are held for the minimum.
pub(super) const MOST_VARIABLES: usize = 2_000;

impl Synthetic {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if !(1..=MOST_VARIABLES).contains(&self.dimension) {
            let reason = format!("1 to {MOST_VARIABLES} variables are possible");
            return Err(Invalid::value("dimension", self.dimension, reason));
        }
        let most = MOST_NUMBERS / self.dimension;
        if !(self.dimension..=most).contains(&self.samples) {
            let reason = format!(
                "with `dimension` = {} there can be {} to {most} samples",
                self.dimension, self.dimension
            );
            return Err(Invalid::value("samples", self.samples, reason));
        }
        if !(self.condition >= 1.0 && self.condition.is_finite()) {
            let reason = "a finite number of at least 1 is needed";
            return Err(Invalid::value("condition", self.condition, reason));
        }
        if self.dimension == 1 && self.condition > 1.0 {
            let reason = "with `dimension` = 1 there is one eigenvalue: 1 is needed";
            return Err(Invalid::value("condition", self.condition, reason));
        }
        Ok(())
    }

    /// Rows A = √n U Λ^½ Q and targets. U has orthonormal columns, Λ the eigenvalues of AᵀA/n, spaced
    /// geometrically from 1 down to 1/κ, and Q = I − 2vvᵀ is a random reflection, so that the axes
    /// are no eigenvectors. Predictions Ax* have a normal direction x*.
    pub(super) fn draw(&self, loss: SampleLoss) -> (Rows, Vec<f64>) {
        let (n, d) = (self.samples, self.dimension);
        let mut generator = stream(0, Stream::Data, 0);
        let mut normals = |count: usize| -> Vec<f64> {
            let draws = StandardNormal.sample_iter(&mut generator);
            draws.take(count).collect()
        };
        let columns = orthonormal((0..d).map(|_| normals(n)).collect());
        let mut reflector = normals(d);
        normalise(&mut reflector);
        let x = normals(d);
        let noise = normals(n);
        let last = (d.max(2) - 1) as f64;
        let scales: Vec<f64> = (0..d)
            .map(|k| (n as f64 * self.condition.powf(-(k as f64) / last)).sqrt())
            .collect();
        let mut values = vec![0.0; n * d];
        let mut predictions = Vec::with_capacity(n);
        for (i, row) in values.chunks_exact_mut(d).enumerate() {
            for ((a, column), scale) in row.iter_mut().zip(&columns).zip(&scales) {
                *a = scale * column[i];
            }
            let along = 2.0 * dot(row, &reflector);
            for (a, v) in row.iter_mut().zip(&reflector) {
                *a -= along * v;
            }
            predictions.push(dot(row, &x));
        }
        let spread = (dot(&predictions, &predictions) / n as f64).sqrt();
        let targets = predictions.iter().zip(noise).map(|(prediction, noise)| {
            let z = prediction / spread;
            match (loss, self.interpolating) {
                (SampleLoss::LeastSquares, true) => z,
                (SampleLoss::LeastSquares, false) => z + NOISE * noise,
                (SampleLoss::Logistic, true) => 1f64.copysign(z),
                (SampleLoss::Logistic, false) => {
                    let likely = 1.0 / (1.0 + (-LOG_ODDS * z).exp());
                    1f64.copysign(likely - unit(&mut generator))
                }
            }
        });
        let targets = targets.collect();
        let dimension = d;
        (Rows::Dense { values, dimension }, targets)
    }
}
