//! What is fitted to what.

use serde::{Deserialize, Serialize};

use super::autoencoder::AutoencoderTask;
use super::factorisation::FactorisationTask;
use super::fit::Fit;
use super::regression::RegressionTask;
use super::teacher::TeacherTask;
use crate::settings::Invalid;

/// What is fitted to what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// A tanh network to a smooth function.
    Regression(RegressionTask),
    /// A tanh network to another one, whose weights it could have.
    TeacherStudent(TeacherTask),
    /// A product of two matrices to a matrix.
    MatrixFactorisation(FactorisationTask),
    /// A network with a narrow layer in its middle to its own inputs.
    Autoencoder(AutoencoderTask),
}

impl Task {
    /// The task and its key in experiment files.
    fn named(&self) -> (&'static str, &dyn Fit) {
        match self {
            Self::Regression(task) => ("regression", task),
            Self::TeacherStudent(task) => ("teacher-student", task),
            Self::MatrixFactorisation(task) => ("matrix-factorisation", task),
            Self::Autoencoder(task) => ("autoencoder", task),
        }
    }

    /// The key in experiment files.
    pub(super) fn name(&self) -> &'static str {
        self.named().0
    }

    pub(super) fn fit(&self) -> &dyn Fit {
        self.named().1
    }

    /// Whether the settings can be used; names the key at fault from the problem's table on.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let (name, task) = self.named();
        task.check().map_err(|invalid| Invalid {
            key: format!("task.{name}.{}", invalid.key),
            ..invalid
        })
    }
}
