//! What a problem and its settings are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bench_data::{Catalogue, Library};
use candle_core::{Device, Tensor};
use models::Summary;
use models::physics::Pinn;
use optim::{Objective, Parameters, Step};

use crate::error::{Error, Result};
use crate::settings::{Configured, Invalid, Kind, Settings};

/// A function of parameters that a run minimizes.
pub trait Problem {
    /// What is moved.
    fn parameters(&self) -> &Parameters;

    /// Optimizer steps in an epoch.
    fn steps_per_epoch(&self) -> u64;

    /// Whether the objective is the same at every step, so that reaching a tolerance ends the run.
    fn is_deterministic(&self) -> bool;

    /// The samples over which the objective of step `step` (from 0) is a mean: what an evaluation
    /// costs in sample gradients. `None` where it is no such mean.
    fn samples(&self, step: u64) -> Option<u64> {
        let _ = step;
        None
    }

    /// The objective of step `step` (from 0), fixed within the step.
    ///
    /// # Errors
    /// When the step's data cannot be had.
    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>>;

    /// The objective of the batches of several steps of one epoch as one batch, for optimizers that
    /// choose the size of their batches. Only problems whose settings say
    /// [`joins_batches`](ProblemSettings::joins_batches) are asked for more than one step's.
    ///
    /// # Errors
    /// As [`objective`](Self::objective).
    fn joined_objective(&mut self, steps: Range<u64>) -> Result<Box<dyn Objective + '_>> {
        self.objective(steps.start)
    }

    /// Whether the loss it reports is known at the ends of epochs only, so that points are measured
    /// there and nowhere between.
    fn reports_epochs(&self) -> bool {
        false
    }

    /// The part of the loss that was not finite when the loss was last evaluated, where the loss has
    /// parts.
    fn part_not_finite(&self) -> Option<&str> {
        None
    }

    /// The network with its equation, where the parameters are those of a physics-informed network.
    fn pinn(&self) -> Option<&Pinn> {
        None
    }

    /// Told after each step what it did; of a step on joined batches, `step` is the first of theirs.
    fn observe(&mut self, step: u64, made: &Step) {
        let _ = (step, made);
    }

    /// What else changes with the steps beside the parameters, by name, so that a run can stop and go
    /// on: a network's running statistics, sums over the epoch.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }

    /// Goes on from what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// When an entry is missing or of another shape.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// The state of the run at the current parameters; not counted, not timed.
    ///
    /// # Errors
    /// When the model cannot be evaluated.
    fn measure(&mut self) -> Result<Measurement>;
}

/// The state of a run at one moment.
///
/// ```
/// use bench_experiment::problem::Measurement;
///
/// let measured = Measurement {
///     accuracy: Some(0.9),
///     ..Measurement::of_loss(0.3)
/// };
/// assert_eq!((measured.loss, measured.test_loss), (0.3, None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// The training objective without noise: f(x) − f*, or the mean loss over the training set.
    pub loss: f64,
    /// The training objective with the running statistics of batch normalisation as the steps left them, where
    /// `loss` is with statistics that were estimated anew.
    pub running_loss: Option<f64>,
    /// The mean loss over the test set, where there is one.
    pub test_loss: Option<f64>,
    /// The share of test samples classified right, from 0 to 1, where there are classes.
    pub accuracy: Option<f64>,
    /// As `running_loss`, the share of test samples classified right.
    pub running_accuracy: Option<f64>,
    /// The perplexity per word on the test set, where the data are text
    /// ([`Tokens::word_perplexity`](bench_data::Tokens::word_perplexity)); per token it is `exp(test_loss)`.
    pub word_perplexity: Option<f64>,
    /// The part of the loss that is the differential equation's residual, where there is an equation.
    pub residual_loss: Option<f64>,
    /// The part of the loss that is its initial conditions.
    pub initial_loss: Option<f64>,
    /// The part of the loss that is its boundary conditions.
    pub boundary_loss: Option<f64>,
    /// ‖u − u*‖₂ / ‖u*‖₂ over the points where the solution u* is known.
    pub relative_l2: Option<f64>,
    /// max |u − u*| over the same points.
    pub largest_error: Option<f64>,
}

impl Measurement {
    /// A loss, and nothing else that was measured.
    pub fn of_loss(loss: f64) -> Self {
        Self {
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
        }
    }
}

/// Where a problem is built: what its data comes from and where its tensors live.
#[derive(Clone)]
pub struct Environment {
    /// The datasets, shared by all devices.
    pub library: Arc<Library>,
    /// The device of parameters and batches.
    pub device: Device,
}

/// A function of two variables, for pictures.
pub struct Plane {
    /// Where runs of seed 0 start.
    pub start: [f64; 2],
    /// The function's value, without noise.
    pub value: Box<dyn Fn([f64; 2]) -> f64>,
}

/// From what a problem draws its start, its order of batches and its noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The optimizer's label; only problems that say so
    /// ([`ProblemSettings::depends_on_optimizer`]) may draw from it.
    pub optimizer: &'a str,
}

/// What a network's problem takes, as far as it is known without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Parameters.
    pub parameters: u64,
    /// Optimizer steps in an epoch, where the catalogue tells the number of samples.
    pub steps_per_epoch: Option<u64>,
    /// Multiply-adds of an evaluation of loss and gradient, at the rate of a matrix product: three times those of the
    /// loss alone.
    pub evaluation: u64,
    /// Multiply-adds of a measurement, at the same rate.
    pub measurement: u64,
}

/// The settings of a kind of problem.
pub trait ProblemSettings: Settings {
    /// Whether all settings can be used; asked before anything is built.
    ///
    /// # Errors
    /// The first setting that cannot.
    fn check(&self) -> Result<(), Invalid>;

    /// The problem of a run.
    ///
    /// # Errors
    /// When data is missing, a setting does not fit it, or the device refuses.
    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>>;

    /// A title for reports.
    fn title(&self) -> String;

    /// What the loss is, with its unit.
    fn loss_name(&self) -> &'static str;

    /// The group of problems that run-time distributions are drawn for, where it belongs to one.
    fn group(&self) -> Option<String> {
        None
    }

    /// The function, where it is one of two variables.
    fn plane(&self) -> Option<Plane> {
        None
    }

    /// Whether runs report a test accuracy.
    fn has_accuracy(&self) -> bool {
        false
    }

    /// Whether the problem's draws depend on the optimizer's label and not on the seed alone.
    fn depends_on_optimizer(&self) -> bool {
        false
    }

    /// Whether each batch shares samples with the one before it.
    fn has_overlap(&self) -> bool {
        false
    }

    /// Whether an optimizer may choose the size of batches: whether
    /// [`Problem::joined_objective`] joins them, and objectives know the losses of their samples.
    fn joins_batches(&self) -> bool {
        false
    }

    /// The network's layers for one of the problem's own samples, without reading data; `None` where there
    /// is no network.
    ///
    /// # Errors
    /// When the dataset is not in the catalogue, or its samples do not fit the network.
    fn describe(&self, catalogue: &Catalogue) -> Result<Option<Summary>> {
        let _ = catalogue;
        Ok(None)
    }

    /// What evaluations and measurements take, without reading data; `None` where that is not known.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    fn work(&self, catalogue: &Catalogue) -> Result<Option<Work>> {
        let _ = catalogue;
        Ok(None)
    }

    /// The settings with what a file leaves out of its `model` taken from the data, where these tell it: `left_out`
    /// says of a key of `model` whether that is so. `None` where nothing is to be taken. While a file is read there is
    /// no catalogue yet.
    fn with_sizes_of_data(
        &self,
        catalogue: Option<&Catalogue>,
        left_out: &dyn Fn(&str) -> bool,
    ) -> Option<ProblemConfig> {
        let _ = (catalogue, left_out);
        None
    }

    /// The settings with `share` of the training data held out of training and measured in the test set's
    /// place, which is then not touched; `None` where there is no data to hold out.
    fn held_out(&self, share: f64) -> Option<ProblemConfig> {
        let _ = share;
        None
    }

    /// The number of training samples, where the settings limit it, and the settings with at most `most` of
    /// them; `None` where it cannot be limited.
    fn sampled(&self, most: usize) -> Option<(Option<usize>, ProblemConfig)> {
        let _ = most;
        None
    }

    /// The datasets used, by name.
    fn data(&self) -> Vec<String> {
        Vec::new()
    }

    /// The SHA-256 of one of [`data`](Self::data), as this kind of problem reads it.
    ///
    /// # Errors
    /// When the data is missing or damaged.
    fn data_sha256(&self, name: &str, library: &Library) -> Result<String> {
        let _ = library;
        Err(Error::Setting(Invalid::new(
            "data",
            format!("the problem has no dataset `{name}`"),
        )))
    }
}

/// A problem in an experiment file.
pub type ProblemConfig = Configured<dyn ProblemSettings>;

impl<K: Kind + ProblemSettings> From<K> for ProblemConfig {
    fn from(settings: K) -> Self {
        Self::of::<K>(Arc::new(settings))
    }
}
