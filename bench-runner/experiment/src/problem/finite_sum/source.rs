//! From what a finite sum is made.

use bench_data::{Library, SparseSet};

use super::minimum::minimum;
use super::rows::Rows;
use super::sum::{FiniteSum, SampleLoss};
use super::synthetic::{MOST_VARIABLES, Synthetic};
use crate::error::Result;
use crate::settings::Invalid;

/// Where samples come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Samples {
    Drawn(Synthetic),
    /// A dataset of the catalogue.
    Data(String),
}

/// What a finite sum is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) samples: Samples,
    pub(super) loss: SampleLoss,
    pub(super) regularisation: f64,
}

/// A finite sum with what is known of it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) sum: FiniteSum,
    /// f*.
    pub(super) minimum: f64,
    /// The mean loss over test samples, where the dataset has them.
    pub(super) test: Option<FiniteSum>,
}

impl Source {
    /// Draws or reads the samples, and finds the minimum.
    pub(super) fn make(&self, library: &Library) -> Result<Known> {
        let sum = |rows, targets, regularisation| FiniteSum {
            rows,
            targets,
            loss: self.loss,
            regularisation,
        };
        match &self.samples {
            Samples::Drawn(synthetic) => {
                let (rows, targets) = synthetic.draw(self.loss);
                let sum = sum(rows, targets, self.regularisation);
                let minimum = if synthetic.interpolating {
                    0.0
                } else {
                    minimum(&sum)
                };
                Ok(Known {
                    sum,
                    minimum,
                    test: None,
                })
            }
            Samples::Data(name) => {
                let parts = library.sparse(name)?;
                let (rows, targets) = self.labelled(name, parts.train)?;
                let train = sum(rows, targets, self.regularisation);
                let (rows, targets) = self.labelled(name, parts.test)?;
                Ok(Known {
                    minimum: minimum(&train),
                    sum: train,
                    test: Some(sum(rows, targets, 0.0)),
                })
            }
        }
    }

    /// Rows and labels, if this loss can be taken of them.
    fn labelled(&self, name: &str, set: SparseSet) -> Result<(Rows, Vec<f64>), Invalid> {
        let refused = |reason: String| Err(Invalid::value("data", format!("\"{name}\""), reason));
        if set.features() > MOST_VARIABLES {
            return refused(format!(
                "{} features; at most {MOST_VARIABLES} are possible",
                set.features()
            ));
        }
        let other = |label: &&f32| label.abs() != 1.0;
        if self.loss == SampleLoss::Logistic
            && let Some(label) = set.labels().iter().find(other)
        {
            return refused(format!(
                "the label {label}; logistic regression needs −1 and 1"
            ));
        }
        let targets = set.labels().iter().map(|label| f64::from(*label)).collect();
        Ok((Rows::Sparse(set), targets))
    }
}
