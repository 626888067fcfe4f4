//! The quantities that runs are measured by: one list for tables, figures, checks and claims.

use bench_experiment::run::{CurvePoint, SwitchPoint};
use bench_experiment::store::ProblemInfo;
use serde::Deserialize;

/// A column of `results.parquet` that holds numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Optimizer steps.
    Step,
    /// Passes over the training data.
    #[serde(alias = "epochs")]
    Epoch,
    /// Evaluations of loss and gradient.
    #[serde(alias = "evaluations")]
    GradientEvaluations,
    /// Evaluations of the loss alone.
    LossEvaluations,
    /// Gradient evaluations times the samples of their batches.
    #[serde(alias = "sample-gradients")]
    SampleGradients,
    /// Seconds of training.
    Seconds,
    /// The training objective.
    Loss,
    /// The training objective with running statistics of batch normalisation.
    #[serde(alias = "running-loss")]
    RunningLoss,
    /// The mean loss over the test set.
    #[serde(alias = "test-loss")]
    TestLoss,
    /// The share of test samples classified right.
    Accuracy,
    /// The share of test samples classified right with running statistics of batch normalisation.
    #[serde(alias = "running-accuracy")]
    RunningAccuracy,
    /// The perplexity per word on the test set.
    #[serde(alias = "word-perplexity")]
    WordPerplexity,
    /// The part of the loss that is a differential equation's residual.
    #[serde(alias = "residual-loss")]
    ResidualLoss,
    /// The part of the loss that is its initial conditions.
    #[serde(alias = "initial-loss")]
    InitialLoss,
    /// The part of the loss that is its boundary conditions.
    #[serde(alias = "boundary-loss")]
    BoundaryLoss,
    /// The relative L2 error of the solution.
    #[serde(alias = "relative-l2")]
    RelativeL2,
    /// The largest error of the solution.
    #[serde(alias = "largest-error")]
    LargestError,
    /// The norm of the last mini-batch gradient.
    #[serde(alias = "gradient-norm")]
    GradientNorm,
}

impl Quantity {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 18] = [
        Self::Step,
        Self::Epoch,
        Self::GradientEvaluations,
        Self::LossEvaluations,
        Self::SampleGradients,
        Self::Seconds,
        Self::Loss,
        Self::RunningLoss,
        Self::TestLoss,
        Self::Accuracy,
        Self::RunningAccuracy,
        Self::WordPerplexity,
        Self::ResidualLoss,
        Self::InitialLoss,
        Self::BoundaryLoss,
        Self::RelativeL2,
        Self::LargestError,
        Self::GradientNorm,
    ];

    /// Those that a run's progress is drawn against.
    pub const AXES: [Self; 4] = [
        Self::GradientEvaluations,
        Self::SampleGradients,
        Self::Seconds,
        Self::Epoch,
    ];

    /// Those that say what a run reached, and not what it cost.
    pub const REACHED: [Self; 12] = [
        Self::Loss,
        Self::RunningLoss,
        Self::TestLoss,
        Self::Accuracy,
        Self::RunningAccuracy,
        Self::WordPerplexity,
        Self::ResidualLoss,
        Self::InitialLoss,
        Self::BoundaryLoss,
        Self::RelativeL2,
        Self::LargestError,
        Self::GradientNorm,
    ];

    /// Its column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Epoch => "epoch",
            Self::GradientEvaluations => "gradient_evaluations",
            Self::LossEvaluations => "loss_evaluations",
            Self::SampleGradients => "sample_gradients",
            Self::Seconds => "seconds",
            Self::Loss => "loss",
            Self::RunningLoss => "running_loss",
            Self::RunningAccuracy => "running_accuracy",
            Self::TestLoss => "test_loss",
            Self::Accuracy => "accuracy",
            Self::WordPerplexity => "word_perplexity",
            Self::ResidualLoss => "residual_loss",
            Self::InitialLoss => "initial_loss",
            Self::BoundaryLoss => "boundary_loss",
            Self::RelativeL2 => "relative_l2",
            Self::LargestError => "largest_error",
            Self::GradientNorm => "gradient_norm",
        }
    }

    /// The quantity whose column this is.
    pub fn of_column(column: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|quantity| quantity.column() == column)
    }

    /// Its part of a file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "steps",
            Self::Epoch => "epochs",
            Self::GradientEvaluations => "evaluations",
            Self::LossEvaluations => "loss-evaluations",
            Self::SampleGradients => "sample-gradients",
            Self::Seconds => "seconds",
            Self::Loss => "loss",
            Self::RunningLoss => "running-loss",
            Self::RunningAccuracy => "running-accuracy",
            Self::TestLoss => "test-loss",
            Self::Accuracy => "accuracy",
            Self::WordPerplexity => "word-perplexity",
            Self::ResidualLoss => "residual-loss",
            Self::InitialLoss => "initial-loss",
            Self::BoundaryLoss => "boundary-loss",
            Self::RelativeL2 => "relative-l2",
            Self::LargestError => "largest-error",
            Self::GradientNorm => "gradient-norm",
        }
    }

    /// What it is, with its unit, where it does not depend on the problem.
    pub fn title(self) -> &'static str {
        match self {
            Self::Step => "optimizer steps",
            Self::Epoch => "epochs",
            Self::GradientEvaluations => "gradient evaluations",
            Self::LossEvaluations => "evaluations of the loss alone",
            Self::SampleGradients => "sample gradients",
            Self::Seconds => "training time (s)",
            Self::Loss => "loss",
            Self::RunningLoss => "training loss with running statistics",
            Self::RunningAccuracy => "test accuracy with running statistics",
            Self::TestLoss => "mean loss on the test set",
            Self::Accuracy => "test accuracy",
            Self::WordPerplexity => "test perplexity per word",
            Self::ResidualLoss => "equation's residual in the loss",
            Self::InitialLoss => "initial conditions in the loss",
            Self::BoundaryLoss => "boundary conditions in the loss",
            Self::RelativeL2 => "relative L2 error",
            Self::LargestError => "largest error",
            Self::GradientNorm => "norm of the mini-batch gradient",
        }
    }

    /// What it is on a problem, with its unit.
    pub fn label(self, problem: &ProblemInfo) -> String {
        match self {
            Self::Loss => problem.loss_name.clone(),
            other => other.title().to_owned(),
        }
    }

    /// Whether it says what a run cost, not what it reached.
    pub fn is_cost(self) -> bool {
        !Self::REACHED.contains(&self)
    }

    /// The value that stands for a run that diverged or failed: worse than every other.
    pub fn worst(self) -> f64 {
        match self {
            Self::Accuracy | Self::RunningAccuracy => 0.0,
            _ => f64::INFINITY,
        }
    }

    /// Whether it spans orders of magnitude, so that a logarithmic scale suits it.
    pub fn is_logarithmic(self) -> bool {
        !self.is_cost() && self.worst() != 0.0
    }

    /// Its value at a measurement, where there is one.
    pub fn of(self, point: &CurvePoint) -> Option<f64> {
        match self {
            Self::Step => Some(point.step as f64),
            Self::Epoch => Some(point.epoch),
            Self::GradientEvaluations => Some(point.gradient_evaluations as f64),
            Self::LossEvaluations => Some(point.loss_evaluations as f64),
            Self::SampleGradients => point.sample_gradients.map(|count| count as f64),
            Self::Seconds => Some(point.seconds),
            Self::Loss => Some(point.loss),
            Self::RunningLoss => point.running_loss,
            Self::RunningAccuracy => point.running_accuracy,
            Self::TestLoss => point.test_loss,
            Self::Accuracy => point.accuracy,
            Self::WordPerplexity => point.word_perplexity,
            Self::ResidualLoss => point.residual_loss,
            Self::InitialLoss => point.initial_loss,
            Self::BoundaryLoss => point.boundary_loss,
            Self::RelativeL2 => point.relative_l2,
            Self::LargestError => point.largest_error,
            Self::GradientNorm => point.gradient_norm,
        }
    }

    /// Where a change of phase lies on it, if it is one of [`AXES`](Self::AXES) or steps.
    pub fn of_switch(self, switch: &SwitchPoint) -> Option<f64> {
        match self {
            Self::Step => Some(switch.step as f64),
            Self::Epoch => Some(switch.epoch),
            Self::GradientEvaluations => Some(switch.gradient_evaluations as f64),
            Self::SampleGradients => switch.sample_gradients.map(|count| count as f64),
            Self::Seconds => Some(switch.seconds),
            _ => None,
        }
    }
}
