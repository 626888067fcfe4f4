//! What one run leaves behind: how it ended, and its curve.

use bench_data::sha256;
use optim::{Counts, PairCounts, Phase};
use serde::{Deserialize, Serialize};

use super::cell::CellId;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// The budget was used, or the optimizer reached its tolerance.
    Completed {
        /// Why it stopped, in words.
        reason: String,
    },
    /// The loss stopped being finite, or grew beyond all bounds.
    Diverged {
        /// The step at which it was seen.
        step: u64,
        /// The loss seen there, as text, since JSON has no NaN; with the part of it that was not finite,
        /// where the loss has parts.
        value: String,
    },
    /// An error ended the run.
    Failed {
        /// The error.
        reason: String,
    },
    /// The user stopped the run.
    Interrupted,
}

impl Outcome {
    /// Whether running it again would come to the same: it is a result, and neither an error nor a stop.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Diverged { .. })
    }

    /// The outcome in one word.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Diverged { .. } => "diverged",
            Self::Failed { .. } => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A change of phase during a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchPoint {
    /// The step from which the new phase acts.
    pub step: u64,
    /// Epochs passed before it.
    pub epoch: f64,
    /// Gradient evaluations spent before it.
    pub gradient_evaluations: u64,
    /// Sample gradients spent before it, as at a [`CurvePoint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_gradients: Option<u64>,
    /// Seconds of training before it.
    pub seconds: f64,
    /// The phase that begins.
    pub to: Phase,
}

/// The state of a run at one moment; the clock and the counts pause while it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Optimizer steps so far.
    pub step: u64,
    /// Epochs so far.
    pub epoch: f64,
    /// Evaluations of loss and gradient so far. One of several batches together counts once for each.
    pub gradient_evaluations: u64,
    /// Evaluations of the loss alone so far.
    pub loss_evaluations: u64,
    /// Evaluations so far, each times the samples of its batch; those of the loss alone count as the
    /// others. None where the objective is no mean over samples, and in results that are older than this count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_gradients: Option<u64>,
    /// Seconds of training so far, measurements excluded.
    pub seconds: f64,
    /// The training objective without noise: the function value, or the mean loss over the training set
    /// (or the fixed part of it that the problem states).
    pub loss: f64,
    /// The training objective with the running statistics of batch normalisation as the steps left them, where
    /// `loss` is with statistics that were estimated anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_loss: Option<f64>,
    /// The mean loss over the test set, where there is one.
    pub test_loss: Option<f64>,
    /// The share of test samples classified right, from 0 to 1, where there are classes.
    pub accuracy: Option<f64>,
    /// As `running_loss`, the share of test samples classified right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_accuracy: Option<f64>,
    /// The perplexity per word on the test set, where the data are text; per token it is `exp(test_loss)`.
    pub word_perplexity: Option<f64>,
    /// The part of the loss that is the differential equation's residual, where there is an equation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual_loss: Option<f64>,
    /// The part of the loss that is its initial conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_loss: Option<f64>,
    /// The part of the loss that is its boundary conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary_loss: Option<f64>,
    /// ‖u − u*‖₂ / ‖u*‖₂ over the points where the solution u* of the equation is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_l2: Option<f64>,
    /// max |u − u*| over the same points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_error: Option<f64>,
    /// The Euclidean norm of the last mini-batch gradient.
    pub gradient_norm: Option<f64>,
    /// What the switch criterion saw before the last step, if it was asked then; of a composed
    /// criterion, the part that was asked last.
    pub criterion: Option<f64>,
    /// What the criterion compared that with.
    pub threshold: Option<f64>,
    /// The phase of the last step.
    pub phase: Phase,
}

impl CurvePoint {
    /// A point of the first phase at which nothing but the loss was measured.
    pub fn of_loss(gradient_evaluations: u64, loss: f64) -> Self {
        Self {
            step: gradient_evaluations,
            epoch: 0.0,
            gradient_evaluations,
            loss_evaluations: 0,
            sample_gradients: None,
            seconds: 0.0,
            loss,
            running_loss: None,
            test_loss: None,
            accuracy: None,
            running_accuracy: None,
            word_perplexity: None,
            residual_loss: None,
            initial_loss: None,
            boundary_loss: None,
            relative_l2: None,
            largest_error: None,
            gradient_norm: None,
            criterion: None,
            threshold: None,
            phase: Phase::FirstOrder,
        }
    }
}

/// A time to three significant digits. Times of repeated runs differ by more, and digits without meaning would be a
/// third of what stored results weigh.
pub(super) fn rounded(seconds: f64) -> f64 {
    format!("{seconds:.2e}").parse().unwrap_or(seconds)
}

/// One run, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Which run.
    pub cell: CellId,
    /// How it ended.
    pub outcome: Outcome,
    /// What it cost.
    pub counts: Counts,
    /// Seconds of training.
    pub seconds: f64,
    /// How its curvature pairs fared.
    pub pairs: PairCounts,
    /// Its changes of phase.
    pub switches: Vec<SwitchPoint>,
    /// Its curve, in order of steps.
    pub curve: Vec<CurvePoint>,
}

impl RunRecord {
    /// The record of a run that has measured nothing.
    pub fn new(cell: CellId, outcome: Outcome) -> Self {
        Self {
            cell,
            outcome,
            counts: Counts::default(),
            seconds: 0.0,
            pairs: PairCounts::default(),
            switches: Vec::new(),
            curve: Vec::new(),
        }
    }

    /// The record without times: what must be equal when the run is repeated.
    pub fn without_times(&self) -> Self {
        let mut record = self.clone();
        record.seconds = 0.0;
        for point in &mut record.curve {
            point.seconds = 0.0;
        }
        for switch in &mut record.switches {
            switch.seconds = 0.0;
        }
        record
    }

    /// SHA-256 of everything that must be equal when the run is repeated: the record without times, and
    /// without the labels, which change none of its numbers. Sample gradients follow from the
    /// evaluations and the batches, and older results lack them: they are left out too.
    pub fn digest(&self) -> String {
        let mut record = self.without_times();
        record.cell.problem.clear();
        record.cell.optimizer.clear();
        for point in &mut record.curve {
            point.sample_gradients = None;
        }
        for switch in &mut record.switches {
            switch.sample_gradients = None;
        }
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _ = ciborium::into_writer(&record, &mut bytes);
        sha256(&bytes)
    }

    /// The last measured point.
    pub fn last(&self) -> Option<&CurvePoint> {
        self.curve.last()
    }

    /// The last measured loss; that of a run that did not complete is infinite.
    pub fn final_loss(&self) -> f64 {
        match (&self.outcome, self.last()) {
            (Outcome::Completed { .. }, Some(last)) if !last.loss.is_nan() => last.loss,
            _ => f64::INFINITY,
        }
    }

    /// The lowest loss that was measured; `None` where none was a number.
    pub fn lowest_loss(&self) -> Option<f64> {
        let losses = self.curve.iter().map(|point| point.loss);
        losses.filter(|loss| !loss.is_nan()).min_by(f64::total_cmp)
    }

    /// The first point whose loss is at or below `target`; its phase is the one that reached it.
    pub fn first_at(&self, target: f64) -> Option<&CurvePoint> {
        self.curve.iter().find(|point| point.loss <= target)
    }

    /// Whether the last loss is at or below `target`, so that what was reached was not lost again.
    pub fn held(&self, target: f64) -> bool {
        self.final_loss() <= target
    }

    /// Gradient evaluations until the loss was first measured at or below `target`; `None` when it
    /// never was.
    pub fn evaluations_to(&self, target: f64) -> Option<u64> {
        self.first_at(target)
            .map(|point| point.gradient_evaluations)
    }

    /// As [`evaluations_to`](Self::evaluations_to), for statistics: infinite when the loss never was.
    pub fn cost_to(&self, target: f64) -> f64 {
        self.evaluations_to(target)
            .map_or(f64::INFINITY, |cost| cost as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn times_have_three_digits() {
        let times = [0.0, 0.000_356_444, 1.0, 99.95, 12_345.0];
        assert_eq!(times.map(rounded), [0.0, 0.000_356, 1.0, 100.0, 12_300.0]);
        assert!(rounded(f64::NAN).is_nan());
    }
}
