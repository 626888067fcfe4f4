//! Finite sums in experiment files.

use bench_data::{BatchOrder, Library, OrderOptions};
use serde::{Deserialize, Serialize};

use super::problem::FiniteSumProblem;
use super::shared::known;
use super::source::{Samples, Source};
use super::sum::SampleLoss;
use super::synthetic::Synthetic;
use crate::error::Result;
use crate::problem::batch::check_order;
use crate::problem::precision::Precision;
use crate::problem::traits::{Draw, Environment, Problem, ProblemSettings};
use crate::settings::{Invalid, Kind};

/// A finite sum in an experiment file: f(x) = (1/n) Σᵢ φ(aᵢᵀx, yᵢ) + ½ λ ‖x‖².
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FiniteSumConfig {
    /// The loss φ of a sample.
    pub loss: SampleLoss,
    /// A dataset of sparse rows, as `bench-runner data list` names it; without one, samples are drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Samples to draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// The dimension of samples to draw, at most their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
    /// The condition number κ ≥ 1 of AᵀA/n of samples to draw; its eigenvalues are spaced geometrically
    /// from 1/κ to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<f64>,
    /// Whether one x fits all samples to draw: targets without noise in least squares, classes that a
    /// plane separates in logistic regression.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interpolating: bool,
    /// λ.
    #[serde(default)]
    pub regularisation: f64,
    /// The number format of parameters and gradients; sums over samples are in f64.
    #[serde(default = "double")]
    pub precision: Precision,
    /// Samples per step; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// How batches are drawn.
    #[serde(default, skip_serializing_if = "OrderOptions::is_default")]
    pub order: OrderOptions,
}

fn double() -> Precision {
    Precision::F64
}

impl Kind for FiniteSumConfig {
    const NAME: &'static str = "finite-sum";
    const ABOUT: &'static str =
        "least squares or logistic regression over samples, in batches or all at once";
}

impl FiniteSumConfig {
    pub(super) fn source(&self) -> Result<Source, Invalid> {
        let samples = match &self.data {
            Some(name) => {
                for (key, given) in [
                    ("samples", self.samples.is_some()),
                    ("dimension", self.dimension.is_some()),
                    ("condition", self.condition.is_some()),
                    ("interpolating", self.interpolating),
                ] {
                    if given {
                        let reason = "for samples that are drawn; leave it out or leave `data` out";
                        return Err(Invalid::new(key, reason));
                    }
                }
                Samples::Data(name.clone())
            }
            None => {
                let missing = |key| Invalid::new(key, "missing; without `data` it is needed");
                Samples::Drawn(Synthetic {
                    samples: self.samples.ok_or_else(|| missing("samples"))?,
                    dimension: self.dimension.ok_or_else(|| missing("dimension"))?,
                    condition: self.condition.ok_or_else(|| missing("condition"))?,
                    interpolating: self.interpolating,
                })
            }
        };
        Ok(Source {
            samples,
            loss: self.loss,
            regularisation: self.regularisation,
        })
    }

    /// What titles say of the batches.
    fn batch_title(&self) -> String {
        match self.batch_size {
            Some(size) => format!(", batches of {size}"),
            None => ", full batch".into(),
        }
    }

    /// The order of batches among so many samples; none where each step sees all.
    fn order(&self, seed: u64, samples: usize) -> Result<Option<BatchOrder>, bench_data::Error> {
        self.batch_size
            .filter(|size| *size < samples)
            .map(|size| BatchOrder::with_options(seed, samples, size, &self.order))
            .transpose()
    }
}

impl ProblemSettings for FiniteSumConfig {
    fn check(&self) -> Result<(), Invalid> {
        let source = self.source()?;
        if let Samples::Drawn(synthetic) = source.samples {
            synthetic.check()?;
            if let Some(size) = self.batch_size.filter(|size| *size > synthetic.samples) {
                let reason = format!("there are {} samples", synthetic.samples);
                return Err(Invalid::value("batch_size", size, reason));
            }
        }
        if !(self.regularisation >= 0.0 && self.regularisation.is_finite()) {
            let reason = "a finite number of at least 0 is needed";
            return Err(Invalid::value(
                "regularisation",
                self.regularisation,
                reason,
            ));
        }
        if self.interpolating && self.regularisation > 0.0 {
            let reason =
                "0 is needed with `interpolating`: the minimum of a regularised sum fits no sample";
            return Err(Invalid::value(
                "regularisation",
                self.regularisation,
                reason,
            ));
        }
        match self.batch_size {
            Some(0) => Err(Invalid::value("batch_size", 0, "at least 1 is needed")),
            Some(size) => check_order(size, &self.order),
            None if !self.order.is_default() => Err(Invalid::new(
                "order",
                "without `batch_size` each step sees all samples",
            )),
            None => Ok(()),
        }
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        let known = known(&self.source()?, &environment.library)?;
        let order = self.order(draw.seed, known.sum.samples())?;
        Ok(Box::new(FiniteSumProblem::new(
            known,
            order,
            self.precision.dtype(),
            draw.seed,
            &environment.device,
        )?))
    }

    fn title(&self) -> String {
        let mut title = self.loss.to_string();
        match &self.data {
            Some(name) => title += &format!(" on {name}"),
            None => {
                let number = |number: Option<usize>| number.unwrap_or_default();
                title += &format!(
                    ", {} samples, {}-D, condition number {:e}",
                    number(self.samples),
                    number(self.dimension),
                    self.condition.unwrap_or_default()
                );
            }
        }
        if self.interpolating {
            title += ", interpolating";
        }
        self.precision.title(title + &self.batch_title())
    }

    fn group(&self) -> Option<String> {
        Some(format!("{}{}", self.loss, self.batch_title()))
    }

    fn loss_name(&self) -> &'static str {
        "f(x) − f*"
    }

    fn has_accuracy(&self) -> bool {
        self.data.is_some() && self.loss == SampleLoss::Logistic
    }

    fn has_overlap(&self) -> bool {
        self.order.overlap > 0.0
    }

    fn joins_batches(&self) -> bool {
        !self.has_overlap()
    }

    fn data(&self) -> Vec<String> {
        self.data.iter().cloned().collect()
    }

    fn data_sha256(&self, name: &str, library: &Library) -> Result<String> {
        Ok(library.sparse(name)?.sha256())
    }
}
