//! What is minimized: test functions, image classification, language modelling. Each problem gives
//! an objective for every step and a measurement that costs the optimizer nothing.
//!
//! To add a kind of problem: write its file beside these, and add it to [`ProblemConfig`].

mod classification;
mod fault;
pub mod function;
mod language;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use models::{Summary, Tensors};
use optim::{Gradient, Objective, Parameters, Step};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::data::{BatchOrder, Catalogue, Library, OrderOptions};
use crate::run::CellId;

pub use classification::{ClassificationConfig, ClassificationProblem, Scaling};
pub use fault::Fault;
pub use function::{FunctionConfig, FunctionProblem, QuadraticConfig};
pub use language::{LanguageConfig, LanguageProblem};

/// A function of parameters that a run minimizes.
pub trait Problem {
    /// What is moved.
    fn parameters(&self) -> &Parameters;

    /// Optimizer steps in an epoch.
    fn steps_per_epoch(&self) -> u64;

    /// Whether the objective is the same at every step, so that reaching a tolerance ends the run.
    fn is_deterministic(&self) -> bool;

    /// The objective of step `step` (from 0), fixed within the step.
    ///
    /// # Errors
    /// When the step's data cannot be had.
    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>>;

    /// Told after each step what it did.
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// The training objective without noise: f(x) − f*, or the mean loss over the training set.
    pub loss: f64,
    /// The mean loss over the test set, where there is one.
    pub test_loss: Option<f64>,
    /// The share of test samples classified right, from 0 to 1, where there are classes.
    pub accuracy: Option<f64>,
    /// The perplexity per word on the test set, where the data are text
    /// ([`Tokens::word_perplexity`](crate::data::Tokens::word_perplexity)); per token it is `exp(test_loss)`.
    pub word_perplexity: Option<f64>,
}

/// Where a problem is built: what its data comes from and where its tensors live.
#[derive(Clone)]
pub struct Environment {
    /// The datasets, shared by all devices.
    pub library: Arc<Library>,
    /// The device of parameters and batches.
    pub device: Device,
}

/// A problem in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ProblemConfig {
    /// A test function.
    Function(FunctionConfig),
    /// A convex quadratic.
    Quadratic(QuadraticConfig),
    /// A classifier of images.
    Classification(ClassificationConfig),
    /// A model of text.
    Language(LanguageConfig),
}

impl ProblemConfig {
    /// The kinds, as experiment files name them, with a description.
    pub const KINDS: &[(&str, &str)] = &[
        (
            "quadratic",
            "convex quadratic with a chosen condition number and gradient noise",
        ),
        ("classification", "a network on an image dataset"),
        ("language", "a network on a text"),
        ("function", "a test function, with optional gradient noise:"),
    ];

    /// Whether all settings are right.
    ///
    /// # Errors
    /// In words, naming the key at fault.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Function(config) => config.resolve().map(|_| ()),
            Self::Quadratic(config) => config.check(),
            Self::Classification(config) => config.check(),
            Self::Language(config) => config.check(),
        }
    }

    /// The problem of a run, with parameters, order of batches and noise drawn from its seed.
    ///
    /// # Errors
    /// When a setting is wrong, data is missing or the device refuses.
    pub fn build(&self, cell: &CellId, environment: &Environment) -> Result<Box<dyn Problem>> {
        let (device, seed) = (&environment.device, cell.seed);
        Ok(match self {
            Self::Function(config) => {
                let function = config.resolve().map_err(invalid)?;
                Box::new(FunctionProblem::new(config, function, seed, device)?)
            }
            Self::Quadratic(config) => Box::new(FunctionProblem::quadratic(config, seed, device)?),
            Self::Classification(config) => {
                Box::new(ClassificationProblem::new(config, cell, environment)?)
            }
            Self::Language(config) => Box::new(LanguageProblem::new(config, seed, environment)?),
        })
    }

    /// A title for reports.
    pub fn title(&self) -> String {
        match self {
            Self::Function(config) => config.title(),
            Self::Quadratic(config) => config.title(),
            Self::Classification(config) => config.title(),
            Self::Language(config) => config.title(),
        }
    }

    /// What the loss is, with its unit.
    pub fn loss_name(&self) -> &'static str {
        match self {
            Self::Function(_) | Self::Quadratic(_) => "f(x) − f*",
            Self::Classification(config) if config.logs_steps() => {
                "logged cross-entropy (nats, mean over the epoch's steps)"
            }
            Self::Classification(_) => "training cross-entropy (nats)",
            Self::Language(_) => "training cross-entropy (nats per token)",
        }
    }

    /// Whether runs report a test accuracy.
    pub fn has_accuracy(&self) -> bool {
        matches!(self, Self::Classification(_))
    }

    /// Whether the problem's draws depend on the optimizer's label and not on the seed alone.
    pub fn depends_on_optimizer(&self) -> bool {
        matches!(self, Self::Classification(config) if config.faults.contains(&Fault::UnpairedOrder))
    }

    /// Whether each batch shares samples with the one before it.
    pub fn has_overlap(&self) -> bool {
        match self {
            Self::Function(_) | Self::Quadratic(_) => false,
            Self::Classification(config) => config.order.overlap > 0.0,
            Self::Language(config) => config.order.overlap > 0.0,
        }
    }

    /// The network's layers for one of the problem's own samples, without reading data; none for functions.
    ///
    /// # Errors
    /// When the dataset is not in the catalogue, or its samples do not fit the network.
    pub fn describe(&self, catalogue: &Catalogue) -> Result<Option<Summary>> {
        let (model, shape, dtype) = match self {
            Self::Function(_) | Self::Quadratic(_) => return Ok(None),
            Self::Classification(config) => match catalogue.get(&config.data)?.shape {
                Some([channels, height, width]) => {
                    (&config.model, vec![1, channels, height, width], DType::F32)
                }
                None => return Ok(Some(config.model.describe()?)),
            },
            Self::Language(config) => (&config.model, vec![1, config.context], DType::U32),
        };
        let sample = Tensor::zeros(shape, dtype, &Device::Cpu)?;
        let model = model.build(0, DType::F32, &Device::Cpu)?;
        Ok(Some(Summary::new(&*model, &sample)?))
    }

    /// Takes `share` of the training data out of training and measures it in the test set's place, which is
    /// then not touched; functions have no data to hold out.
    pub fn hold_out(&mut self, share: f64) {
        match self {
            Self::Function(_) | Self::Quadratic(_) => (),
            Self::Classification(config) => config.validation = Some(share),
            Self::Language(config) => config.validation = Some(share),
        }
    }

    /// The datasets used, by name.
    pub fn data(&self) -> Vec<String> {
        match self {
            Self::Function(_) | Self::Quadratic(_) => Vec::new(),
            Self::Classification(config) => vec![config.data.clone()],
            Self::Language(config) => config.data(),
        }
    }

    /// The SHA-256 of a dataset as this kind of problem reads it.
    ///
    /// # Errors
    /// When the data is missing or damaged.
    pub fn data_sha256(&self, name: &str, library: &Library) -> Result<String> {
        Ok(match self {
            Self::Language(config) => config.sha256(name, library)?,
            _ => library.images(name)?.sha256(),
        })
    }
}

/// The number format of a network's parameters, activations and gradients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// bfloat16; losses, running statistics, and what optimizers keep beside the parameters are in f32.
    Bf16,
}

impl Precision {
    fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// A problem's title with the format, unless it is the usual one.
    fn title(self, title: String) -> String {
        match self {
            Self::F32 => title,
            Self::Bf16 => format!("{title} in bf16"),
        }
    }
}

/// Whether a share to hold out is one.
fn check_share(validation: Option<f64>) -> Result<(), String> {
    match validation {
        Some(share) if !(share > 0.0 && share < 1.0) => Err(format!(
            "`validation` = {share}: a share between 0 and 1 is needed"
        )),
        _ => Ok(()),
    }
}

/// The loss of a batch, and of the samples that it shares with the batch before.
///
/// An evaluation where the loss or a running statistic is not finite leaves the network's buffers as
/// they were: no optimizer goes on from such a point.
struct BatchLoss<'a, L> {
    batch: L,
    shared: Option<L>,
    tensors: &'a Tensors,
}

impl<L: Objective> BatchLoss<'_, L> {
    fn evaluate<R>(
        &mut self,
        evaluation: impl FnOnce(&mut Self) -> optim::Result<(f64, R)>,
    ) -> optim::Result<(f64, R)> {
        let before = self.tensors.snapshot_buffers()?;
        let (loss, rest) = evaluation(self)?;
        if !(loss.is_finite() && all_finite(self.tensors)?) {
            self.tensors.restore_buffers(&before)?;
        }
        Ok((loss, rest))
    }
}

impl<L: Objective> Objective for BatchLoss<'_, L> {
    fn loss(&mut self) -> optim::Result<f64> {
        let (loss, ()) = self.evaluate(|this| Ok((this.batch.loss()?, ())))?;
        Ok(loss)
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        self.evaluate(|this| this.batch.loss_and_gradient())
    }

    fn overlap_gradient(&mut self) -> optim::Result<Gradient> {
        let (_, gradient) = self.evaluate(|this| {
            let shared = this.shared.as_mut().ok_or(optim::Error::NoOverlap)?;
            shared.loss_and_gradient()
        })?;
        Ok(gradient)
    }
}

/// Whether all buffers hold finite numbers only.
fn all_finite(tensors: &Tensors) -> candle_core::Result<bool> {
    let buffers = tensors.buffers.iter();
    let flat: Vec<Tensor> = buffers
        .map(|(_, buffer)| buffer.as_detached_tensor().flatten_all())
        .collect::<candle_core::Result<_>>()?;
    if flat.is_empty() {
        return Ok(true);
    }
    let values = Tensor::cat(&flat, 0)?.to_dtype(DType::F64)?;
    Ok(values
        .to_vec1::<f64>()?
        .iter()
        .all(|value| value.is_finite()))
}

/// The first samples of a batch that it shares with the batch before, in the tensors of inputs and answers.
fn shared(
    batch: &(Tensor, Tensor),
    overlap: usize,
) -> candle_core::Result<Option<(Tensor, Tensor)>> {
    let count = overlap.min(batch.0.dim(0)?);
    if count == 0 {
        return Ok(None);
    }
    Ok(Some((
        batch.0.narrow(0, 0, count)?,
        batch.1.narrow(0, 0, count)?,
    )))
}

/// Whether batches of `batch_size` can be drawn so, from as many samples as there may be.
fn check_order(batch_size: usize, order: &OrderOptions) -> Result<(), String> {
    BatchOrder::with_options(0, u32::MAX as usize, batch_size, order)
        .map(|_| ())
        .map_err(|error| format!("`order`: {error}"))
}

fn invalid(message: String) -> crate::Error {
    crate::Error::Problem { message }
}
