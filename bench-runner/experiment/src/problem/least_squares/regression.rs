//! A tanh network fitted to a smooth function.

use std::f64::consts::PI;

use models::dense::MlpConfig;
use models::layer::Activation;
use models::{Model, Scope};
use serde::{Deserialize, Serialize};

use super::fit::Fit;
use super::samples::{Matrix, Samples, check_widths, listed};
use crate::error::Result;
use crate::problem::traits::Environment;
use crate::settings::Invalid;

/// A tanh network fitted to a smooth function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionTask {
    /// The function.
    pub function: SmoothFunction,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Samples: the first points of Halton's sequence.
    pub samples: usize,
}

/// A function that texts on approximation and regression use, on the unit cube.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmoothFunction {
    /// 1 / (1 + 25 t²) with t = 2u − 1 (Runge 1901).
    Runge,
    /// sin 4πu.
    Sine,
    /// Two Gaussian peaks, a smaller one and a dip in two variables (Franke 1979).
    Franke,
    /// 10 sin(π u₁ u₂) + 20 (u₃ − ½)² + 10 u₄ + 5 u₅ (Friedman 1991).
    Friedman,
}

impl SmoothFunction {
    /// The number of variables.
    fn dimension(self) -> usize {
        match self {
            Self::Runge | Self::Sine => 1,
            Self::Franke => 2,
            Self::Friedman => 5,
        }
    }

    /// The value at a point of the unit cube with so many coordinates.
    fn value(self, u: &[f64]) -> f64 {
        match self {
            Self::Runge => {
                let t = 2.0 * u[0] - 1.0;
                1.0 / (1.0 + 25.0 * t * t)
            }
            Self::Sine => (4.0 * PI * u[0]).sin(),
            Self::Franke => {
                let (x, y) = (9.0 * u[0], 9.0 * u[1]);
                0.75 * (-((x - 2.0).powi(2) + (y - 2.0).powi(2)) / 4.0).exp()
                    + 0.75 * (-(x + 1.0).powi(2) / 49.0 - (y + 1.0) / 10.0).exp()
                    + 0.5 * (-((x - 7.0).powi(2) + (y - 3.0).powi(2)) / 4.0).exp()
                    - 0.2 * (-(x - 4.0).powi(2) - (y - 7.0).powi(2)).exp()
            }
            Self::Friedman => {
                10.0 * (PI * u[0] * u[1]).sin()
                    + 20.0 * (u[2] - 0.5).powi(2)
                    + 10.0 * u[3]
                    + 5.0 * u[4]
            }
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Runge => "Runge's function",
            Self::Sine => "a sine",
            Self::Franke => "Franke's function",
            Self::Friedman => "Friedman's function",
        }
    }
}

/// The bases of Halton's sequence: the first primes.
const BASES: [u64; 5] = [2, 3, 5, 7, 11];

/// The radical inverse: the digits of `index` in `base` mirrored behind the point.
fn radical_inverse(mut index: u64, base: u64) -> f64 {
    let (mut value, mut place) = (0.0, 1.0);
    while index > 0 {
        place /= base as f64;
        value += place * (index % base) as f64;
        index /= base;
    }
    value
}

impl RegressionTask {
    fn widths(&self) -> Vec<usize> {
        let ends = ([self.function.dimension()], [1]);
        [&ends.0, self.hidden.as_slice(), &ends.1].concat()
    }
}

impl Fit for RegressionTask {
    fn check(&self) -> Result<(), Invalid> {
        check_widths("hidden", &self.widths(), self.samples)
    }

    fn title(&self) -> String {
        format!(
            "Regression on {}, tanh network {}, {} samples",
            self.function.title(),
            listed(&self.widths()),
            self.samples
        )
    }

    fn model(&self, scope: &Scope) -> models::Result<Box<dyn Model>> {
        let network = MlpConfig {
            inputs: self.inputs(),
            hidden: self.hidden.clone(),
            classes: 1,
            activation: Activation::Tanh,
        };
        Ok(Box::new(network.build(scope)?))
    }

    fn inputs(&self) -> usize {
        self.function.dimension()
    }

    /// Points 1, 2, … of Halton's sequence (1960), from −1 to 1, and the function's values.
    fn samples(&self, _: &Environment) -> Result<(Samples, Option<Samples>)> {
        let dimension = self.inputs();
        let points: Vec<f64> = (1..=self.samples as u64)
            .flat_map(|index| BASES[..dimension].iter().map(move |base| (index, *base)))
            .map(|(index, base)| radical_inverse(index, base))
            .collect();
        let values = points.chunks_exact(dimension);
        let values = values.map(|point| self.function.value(point)).collect();
        let samples = Samples {
            inputs: Matrix {
                values: points.iter().map(|u| 2.0 * u - 1.0).collect(),
                columns: dimension,
            },
            targets: Matrix::standardised(values),
        };
        Ok((samples, None))
    }
}
