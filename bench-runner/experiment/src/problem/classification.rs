//! Image classification: a network, a dataset, mini-batches in a seeded order.

use std::collections::BTreeMap;
use std::ops::Range;

use bench_data::{
    Augmentation, BatchOrder, Catalogue, ImageSet, Library, Normalisation, OrderOptions, Splits,
    sha256,
};
use bench_stats::random::{Stream, stream};
use candle_core::{D, DType, Device, Tensor, Var};
use models::layer::BatchNorm2dConfig;
use models::loss::cross_entropy;
use models::{Model, ModelSpec, Pass, Summary};
use optim::{Gradient, Loss, Objective, Parameters, Phase, Step};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::batch::{BatchLoss, WithBuffers, check_order, check_share, shared};
use super::fault::Fault;
use super::precision::Precision;
use super::traits::{
    Draw, Environment, Measurement, Problem, ProblemConfig, ProblemSettings, Work,
};
use crate::error::{Error, Result};
use crate::settings::{Invalid, Kind};

/// A classifier in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationConfig {
    /// The dataset, as `bench-runner data list` names it.
    pub data: String,
    /// The network.
    pub model: ModelSpec,
    /// The number format of the network.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Samples per step.
    pub batch_size: usize,
    /// Training samples that are used at all, drawn at random, the same for every seed; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// The share of the training samples, of each class, that is held out and measured in the test set's
    /// place: for choosing settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Training samples that each measurement uses, the first of the training set; all by default.
    #[serde(default)]
    pub measure_train: Option<usize>,
    /// Test samples that each measurement uses, the first of the test set; all by default.
    #[serde(default)]
    pub measure_test: Option<usize>,
    /// How pixel values are scaled.
    #[serde(default, skip_serializing_if = "Scaling::is_standard")]
    pub scaling: Scaling,
    /// By which statistics batch normalisation is measured.
    #[serde(default, skip_serializing_if = "Statistics::is_precise")]
    pub statistics: Statistics,
    /// How batches are drawn.
    #[serde(default, skip_serializing_if = "OrderOptions::is_default")]
    pub order: OrderOptions,
    /// How training images are varied; measurements see them as they are.
    #[serde(default, skip_serializing_if = "Augmentation::is_none")]
    pub augmentation: Augmentation,
    /// Faults of the authors' training script to reproduce.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// The statistics that networks with batch normalisation are measured by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistics {
    /// Estimated anew before each measurement, at the parameters as they are: the means of the statistics of training
    /// batches, at most 16 of them (precise batch normalisation; Wu and Johnson 2021, arXiv 2105.07576). The loss
    /// with running statistics is kept beside.
    #[default]
    Precise,
    /// Those that the steps left: moving averages over parameters that have been, which say little where these
    /// move far in a step.
    Running,
}

impl Statistics {
    fn is_precise(&self) -> bool {
        *self == Self::Precise
    }
}

/// How pixel values are scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// To the mean 0 and the standard deviation 1 of each channel, by the catalogue's values; to [0, 1] for
    /// sets of which it has none.
    #[default]
    Standard,
    /// To [0, 1], as the authors' code does for all sets but CIFAR-10.
    Unit,
    /// To [−1, 1], as the authors' code does for CIFAR-10.
    Symmetric,
}

impl Scaling {
    fn is_standard(&self) -> bool {
        *self == Self::Standard
    }

    fn apply(self, images: ImageSet) -> Result<ImageSet> {
        let channels = images.shape().0;
        Ok(match self {
            Self::Standard => images,
            Self::Unit => images.with_normalisation(Normalisation::unit(channels))?,
            Self::Symmetric => {
                images.with_normalisation(Normalisation::uniform(channels, 0.5, 0.5))?
            }
        })
    }
}

impl Kind for ClassificationConfig {
    const NAME: &'static str = "classification";
    const ABOUT: &'static str = "a network on an image dataset";
}

impl ProblemSettings for ClassificationConfig {
    fn check(&self) -> Result<(), Invalid> {
        for (key, count) in [
            ("batch_size", Some(self.batch_size)),
            ("measure_train", self.measure_train),
            ("measure_test", self.measure_test),
            ("samples", self.samples),
        ] {
            if count == Some(0) {
                return Err(Invalid::value(key, 0, "at least 1 is needed"));
            }
        }
        let size = self.model.check_size();
        size.map_err(|error| Invalid::new("model", error))?;
        check_share(self.validation)?;
        check_order(self.batch_size, &self.order)?;
        self.augmentation
            .check_in_memory()
            .map_err(|error| Invalid::new("augmentation", error))?;
        let mut faults = self.faults.clone();
        faults.sort();
        if let Some(pair) = faults.windows(2).find(|pair| pair[0] == pair[1]) {
            let reason = format!("{} is listed twice", pair[0]);
            return Err(Invalid::new("faults", reason));
        }
        Ok(())
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        Ok(Box::new(ClassificationProblem::new(
            self,
            draw,
            environment,
        )?))
    }

    fn title(&self) -> String {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        let title = format!("{} on {}", self.model.title(), self.data);
        let title = self.precision.title(title);
        if faults.is_empty() {
            title
        } else {
            format!("{title}, with faults {}", faults.join(", "))
        }
    }

    fn loss_name(&self) -> &'static str {
        if self.logs_steps() {
            "logged cross-entropy (nats, mean over the epoch's steps)"
        } else {
            "training cross-entropy (nats)"
        }
    }

    fn has_accuracy(&self) -> bool {
        true
    }

    fn depends_on_optimizer(&self) -> bool {
        self.has(Fault::UnpairedOrder)
    }

    fn has_overlap(&self) -> bool {
        self.order.overlap > 0.0
    }

    /// The authors' script, whose faults can be reproduced, has batches of one size.
    fn joins_batches(&self) -> bool {
        !self.has_overlap() && self.faults.is_empty()
    }

    fn describe(&self, catalogue: &Catalogue) -> Result<Option<Summary>> {
        Ok(Some(match catalogue.get(&self.data)?.shape {
            Some([channels, height, width]) => {
                let shape = (1, channels, height, width);
                let image = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
                self.model.describe_for(&image)?
            }
            None => self.model.describe()?,
        }))
    }

    fn work(&self, catalogue: &Catalogue) -> Result<Option<Work>> {
        let Some(rows) = &catalogue.get(&self.data)?.rows else {
            return Ok(None);
        };
        let Some(network) = self.describe(catalogue)? else {
            return Ok(None);
        };
        let used = self.samples.map_or(rows.train, |most| most.min(rows.train));
        let held_out = (used as f64 * self.validation.unwrap_or(0.0)).round() as usize;
        let train = used - held_out;
        let test = if held_out > 0 { held_out } else { rows.test };
        let order = BatchOrder::with_options(0, train, self.batch_size, &self.order)?;
        let mut measured = self.measure_train.unwrap_or(train).min(train) + self.tested().min(test);
        let normalises = |layer: &models::LayerSummary| layer.kind == "BatchNorm2d";
        if self.statistics == Statistics::Precise && network.layers.iter().any(normalises) {
            // Once by each statistics, and the batches from which these are estimated.
            measured =
                2 * measured + STATISTICS_BATCHES.min(order.batches_per_epoch()) * self.batch_size;
        }
        let sample = network.layers.iter().map(matrix_multiply_adds).sum::<u64>();
        Ok(Some(Work {
            parameters: network.parameters() as u64,
            steps_per_epoch: Some(order.batches_per_epoch() as u64),
            evaluation: 3 * sample * self.batch_size.min(train) as u64,
            measurement: sample * measured as u64,
        }))
    }

    fn with_sizes_of_data(
        &self,
        catalogue: Option<&Catalogue>,
        left_out: &dyn Fn(&str) -> bool,
    ) -> Option<ProblemConfig> {
        let entry = catalogue?.get(&self.data).ok()?;
        let [channels, height, width] = entry.shape?;
        let mut fitted = self.clone();
        for (key, size) in fitted.model.sizes_of_data() {
            if left_out(key) {
                *size = match key {
                    "inputs" => channels * height * width,
                    "in_channels" => channels,
                    "size" => height,
                    "classes" => entry.classes.len(),
                    _ => *size,
                };
            }
        }
        Some(fitted.into())
    }

    fn held_out(&self, share: f64) -> Option<ProblemConfig> {
        let validation = Some(share);
        Some(
            Self {
                validation,
                ..self.clone()
            }
            .into(),
        )
    }

    fn sampled(&self, most: usize) -> Option<(Option<usize>, ProblemConfig)> {
        let samples = Some(self.samples.map_or(most, |samples| samples.min(most)));
        Some((
            self.samples,
            Self {
                samples,
                ..self.clone()
            }
            .into(),
        ))
    }

    fn data(&self) -> Vec<String> {
        vec![self.data.clone()]
    }

    fn data_sha256(&self, name: &str, library: &Library) -> Result<String> {
        Ok(library.images(name)?.sha256())
    }
}

impl ClassificationConfig {
    /// The images that are used. What is drawn here is drawn from seed 0, so that all runs see the same.
    fn split(&self, images: Splits<ImageSet>) -> Result<Splits<ImageSet>> {
        let mut splits = images;
        if let Some(samples) = self.samples.filter(|samples| *samples < splits.train.len()) {
            splits.train = splits.train.sample(samples, 0)?;
        }
        if let Some(share) = self.validation {
            let held = splits.hold_out(share, 0)?;
            splits = Splits {
                train: held.train,
                test: held.validation.unwrap_or(held.test),
                validation: None,
            };
        }
        Ok(splits)
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Test samples that each measurement uses, at most.
    fn tested(&self) -> usize {
        match self.has(Fault::FirstTestBatch) {
            true => Fault::TEST_BATCH,
            false => self.measure_test.unwrap_or(usize::MAX),
        }
    }

    /// Whether the reported loss is the mean of what the steps saw, as the authors' script logs it.
    fn logs_steps(&self) -> bool {
        self.has(Fault::LossDivisor) || self.has(Fault::LossAfterStep)
    }
}

/// A classifier being trained.
pub struct ClassificationProblem {
    model: Box<dyn Model>,
    parameters: Parameters,
    data: Splits<ImageSet>,
    order: BatchOrder,
    measure_train: usize,
    measure_test: usize,
    device: Device,
    seed: u64,
    config: ClassificationConfig,
    logged: Logged,
}

/// The losses that the steps saw, as the authors' script logs them: once per epoch, at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Logged {
    /// Sum over the steps of the epoch under way.
    sum: f64,
    /// Its steps so far.
    steps: u64,
    /// What was logged at the end of the last complete epoch.
    last: Option<f64>,
}

/// The name of the logged losses in a problem's state; no network calls a buffer so.
const LOGGED: &str = "logged losses";

/// Samples in one forward pass of a measurement.
const MEASURE_BATCH: usize = 512;
/// Batches that statistics are estimated over, at most.
const STATISTICS_BATCHES: usize = 16;

/// The multiply-adds of a matrix product that takes as long as a layer. Convolutions run at about two thirds of its rate
/// (per second and thread of an AMD EPYC of 2024: 18e9 in DenseNet-5, 20e9 in LeNet, 28e9 in ResNet-20, 40e9 in an MLP).
fn matrix_multiply_adds(layer: &models::LayerSummary) -> u64 {
    match layer.kind {
        "Conv2d" => layer.multiply_adds * 3 / 2,
        _ => layer.multiply_adds,
    }
}

impl ClassificationProblem {
    /// Loads the data and initialises the network.
    ///
    /// # Errors
    /// When the data is missing or the model's settings do not fit.
    pub fn new(
        config: &ClassificationConfig,
        draw: Draw<'_>,
        environment: &Environment,
    ) -> Result<Self> {
        let device = &environment.device;
        let images = environment.library.images(&config.data)?;
        let data = config.split(images)?;
        let data = Splits {
            train: config.scaling.apply(data.train)?,
            validation: None,
            test: config.scaling.apply(data.test)?,
        };
        let seed = draw.seed;
        let start = if config.has(Fault::OneInitialisation) {
            0
        } else {
            seed
        };
        let model = config
            .model
            .build(start, config.precision.dtype(), device)?;
        let parameters = Parameters::new(model.tensors().parameters.clone())?;
        let count = data.train.len();
        let order = if config.has(Fault::UnpairedOrder) {
            seed ^ label_hash(draw.optimizer)
        } else {
            seed
        };
        Ok(Self {
            model,
            parameters,
            order: BatchOrder::with_options(order, count, config.batch_size, &config.order)?,
            measure_train: config.measure_train.unwrap_or(count).min(count),
            measure_test: config.tested().min(data.test.len()),
            data,
            device: device.clone(),
            seed,
            config: config.clone(),
            logged: Logged::default(),
        })
    }

    /// Loss, test loss and test accuracy by the statistics that are in the buffers.
    fn measured(&self) -> Result<[f64; 3]> {
        let (loss, _) = self.evaluate(&self.data.train, self.measure_train)?;
        let (test_loss, accuracy) = self.evaluate(&self.data.test, self.measure_test)?;
        Ok([loss, test_loss, accuracy])
    }

    /// Puts the means of batch statistics at the current parameters into the buffers: those of the first batches of
    /// the first epoch, without augmentation.
    fn estimate_statistics(&self) -> Result<()> {
        let buffers = self.model.tensors().buffers.iter();
        let buffers: Vec<&Var> = buffers.map(|(_, buffer)| buffer).collect();
        let batches = self.order.batches_per_epoch().min(STATISTICS_BATCHES);
        let mut sums: Vec<Tensor> = Vec::new();
        for batch in 0..batches {
            let indices = self.order.epoch(0).batch(batch);
            let dtype = self.config.precision.dtype();
            let (inputs, _) = self.data.train.batch(&indices, &self.device, dtype)?;
            for buffer in &buffers {
                buffer.set(&buffer.zeros_like()?)?;
            }
            self.model.forward(&inputs, Pass::Train { seed: 0 })?;
            // From 0, a moving average is the new value times the momentum.
            sums = match sums.is_empty() {
                true => self.model.tensors().snapshot_buffers()?,
                false => sums
                    .iter()
                    .zip(&buffers)
                    .map(|(sum, buffer)| Ok((sum + buffer.as_detached_tensor())?))
                    .collect::<Result<_>>()?,
            };
        }
        let scale = BatchNorm2dConfig::new(1).momentum * batches as f64;
        for (buffer, sum) in buffers.iter().zip(&sums) {
            buffer.set(&(sum / scale)?)?;
        }
        Ok(())
    }

    /// Mean loss and share of right answers over the first `count` samples.
    fn evaluate(&self, images: &ImageSet, count: usize) -> Result<(f64, f64)> {
        let (mut loss, mut right) = (0.0, 0.0);
        for start in (0..count).step_by(MEASURE_BATCH) {
            let end = count.min(start + MEASURE_BATCH);
            let indices: Vec<u32> = (start as u32..end as u32).collect();
            let (inputs, labels) =
                images.batch(&indices, &self.device, self.config.precision.dtype())?;
            let logits = self.model.forward(&inputs, Pass::Eval)?;
            let share = indices.len() as f64;
            loss += share * Precision::number(&cross_entropy(&logits, &labels)?)?;
            let hits = logits.argmax(D::Minus1)?.eq(&labels)?;
            right += Precision::number(&hits.to_dtype(DType::F32)?.sum_all()?)?;
        }
        Ok((loss / count as f64, right / count as f64))
    }
}

/// The mean cross-entropy of a network on a batch.
struct MeanCrossEntropy<'a> {
    model: &'a dyn Model,
    parameters: &'a Parameters,
    inputs: Tensor,
    labels: Tensor,
    pass: Pass,
}

impl MeanCrossEntropy<'_> {
    fn logits(&self) -> candle_core::Result<Tensor> {
        self.model.forward(&self.inputs, self.pass)
    }

    fn mean(&self) -> impl Objective {
        Loss::new(self.parameters, || {
            cross_entropy(&self.logits()?, &self.labels)
        })
    }
}

impl Objective for MeanCrossEntropy<'_> {
    fn loss(&mut self) -> optim::Result<f64> {
        self.mean().loss()
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        self.mean().loss_and_gradient()
    }

    /// In f64 from the logits on, so that small differences keep their digits.
    fn sample_losses(&mut self) -> optim::Result<Vec<f64>> {
        let logits = self.logits()?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let labels = self.labels.to_dtype(DType::U32)?.to_vec1::<u32>()?;
        let loss = |(logits, label): (Vec<f64>, u32)| {
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
            largest + sum.ln() - logits[label as usize]
        };
        Ok(logits.into_iter().zip(labels).map(loss).collect())
    }
}

/// A number that stands for a label.
fn label_hash(label: &str) -> u64 {
    u64::from_str_radix(&sha256(label.as_bytes())[..16], 16).unwrap_or_default()
}

impl Problem for ClassificationProblem {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        self.order.batches_per_epoch() as u64
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn samples(&self, step: u64) -> Option<u64> {
        Some(self.order.batch_size_at(step) as u64)
    }

    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>> {
        self.joined_objective(step..step + 1)
    }

    fn joined_objective(&mut self, steps: Range<u64>) -> Result<Box<dyn Objective + '_>> {
        let step = steps.start;
        let (epoch, batches) = self.order.at_steps(steps);
        let indices = self.order.epoch(epoch).joined(batches);
        let batch = self.data.train.augmented_batch(
            &indices,
            &self.config.augmentation,
            (self.seed, epoch),
            &self.device,
            self.config.precision.dtype(),
        )?;
        let pass = if epoch > 0 && self.config.has(Fault::EvaluationMode) {
            Pass::Eval
        } else {
            Pass::Train {
                seed: stream(self.seed, Stream::Dropout, step).random(),
            }
        };
        let loss = |(inputs, labels): (Tensor, Tensor)| MeanCrossEntropy {
            model: &*self.model,
            parameters: &self.parameters,
            inputs,
            labels,
            pass,
        };
        let objective = BatchLoss {
            shared: shared(&batch, self.order.overlap())?.map(loss),
            batch: loss(batch),
        };
        let tensors = self.model.tensors();
        Ok(Box::new(WithBuffers::new(objective, tensors)))
    }

    fn reports_epochs(&self) -> bool {
        self.config.logs_steps()
    }

    fn observe(&mut self, step: u64, made: &Step) {
        let after = self.config.has(Fault::LossAfterStep) && made.phase == Phase::SecondOrder;
        let loss = made.final_loss.filter(|_| after).unwrap_or(made.loss);
        let steps_per_epoch = self.steps_per_epoch();
        let logged = &mut self.logged;
        if step.is_multiple_of(steps_per_epoch) {
            (logged.sum, logged.steps) = (0.0, 0);
        }
        logged.sum += loss;
        logged.steps += 1;
        if (step + 1).is_multiple_of(steps_per_epoch) {
            let extra = u64::from(self.config.has(Fault::LossDivisor));
            logged.last = Some(logged.sum / (logged.steps + extra) as f64);
        }
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for (name, buffer) in &self.model.tensors().buffers {
            state.insert(name.clone(), buffer.as_detached_tensor().copy()?);
        }
        let Logged { sum, steps, last } = self.logged;
        let numbers: Vec<f64> = [sum, steps as f64].into_iter().chain(last).collect();
        state.insert(
            LOGGED.into(),
            Tensor::new(numbers.as_slice(), &Device::Cpu)?,
        );
        Ok(state)
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let entry = |name: &str| {
            state
                .get(name)
                .ok_or_else(|| Error::StateLacks { name: name.into() })
        };
        for (name, buffer) in &self.model.tensors().buffers {
            buffer.set(&entry(name)?.to_device(&self.device)?)?;
        }
        if let [sum, steps, ref last @ ..] = entry(LOGGED)?.to_vec1::<f64>()?[..] {
            self.logged = Logged {
                sum,
                steps: steps as u64,
                last: last.first().copied(),
            };
        }
        Ok(())
    }

    fn measure(&mut self) -> Result<Measurement> {
        let logged = self.logged.last.filter(|_| self.config.logs_steps());
        if let Some(loss) = logged {
            let (test_loss, accuracy) = self.evaluate(&self.data.test, self.measure_test)?;
            return Ok(Measurement {
                test_loss: Some(test_loss),
                accuracy: Some(accuracy),
                ..Measurement::of_loss(loss)
            });
        }
        let running = self.measured()?;
        let tensors = self.model.tensors();
        let precise = self.config.statistics.is_precise() && !tensors.buffers.is_empty();
        let [loss, test_loss, accuracy] = match precise {
            true => {
                let kept = tensors.snapshot_buffers()?;
                let estimated = self.estimate_statistics().and_then(|()| self.measured());
                tensors.restore_buffers(&kept)?;
                estimated?
            }
            false => running,
        };
        Ok(Measurement {
            running_loss: precise.then_some(running[0]),
            running_accuracy: precise.then_some(running[2]),
            test_loss: Some(test_loss),
            accuracy: Some(accuracy),
            ..Measurement::of_loss(loss)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use optim::{
        Criterion, FuseConfig, FusePvConfig, Handover, LbfgsConfig, LineSearch, Meter, Oracle,
        PairSource, StopReason, Theta,
    };

    use super::*;
    use crate::optimizer::OptimizerConfig;
    use crate::problem::batch::all_finite;
    use std::sync::Arc;

    use bench_data::Silent;

    fn problem(faults: &[Fault], optimizer: &str, seed: u64) -> ClassificationProblem {
        let config = ClassificationConfig {
            data: "digits".into(),
            model: toml::from_str(
                r#"kind = "resnet"
                variant = "cifar"
                depth = 8
                width = 4
                in_channels = 1
                classes = 10"#,
            )
            .unwrap(),
            precision: Precision::F32,
            batch_size: 256,
            samples: None,
            validation: None,
            measure_train: Some(64),
            measure_test: Some(64),
            scaling: Scaling::Standard,
            statistics: Statistics::Precise,
            order: OrderOptions::default(),
            augmentation: Augmentation::default(),
            faults: faults.to_vec(),
        };
        config.check().unwrap();
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let draw = Draw { seed, optimizer };
        ClassificationProblem::new(&config, draw, &environment).unwrap()
    }

    fn start(problem: &ClassificationProblem) -> Vec<f32> {
        let values = problem.parameters.snapshot().unwrap();
        values
            .iter()
            .flat_map(|value| value.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect()
    }

    /// The loss that a step begins with.
    fn evaluate(problem: &mut ClassificationProblem, step: u64) -> f64 {
        problem
            .objective(step)
            .unwrap()
            .loss_and_gradient()
            .unwrap()
            .0
    }

    #[test]
    fn points_that_are_not_finite_leave_no_trace_in_running_statistics() {
        let mut problem = problem(&[], "a", 1);
        // The first trials of each search are so far away that nothing stays finite there.
        let config = LbfgsConfig {
            lr: 1e20,
            line_search: LineSearch::Armijo,
            ..LbfgsConfig::default()
        };
        let mut lbfgs = OptimizerConfig::from(config)
            .build(problem.parameters())
            .unwrap();
        let mut meter = Meter::new();
        for step in 0..2 {
            let mut objective = problem.objective(step).unwrap();
            let mut oracle = Oracle::new(objective.as_mut(), &mut meter);
            lbfgs.step(&mut oracle).unwrap();
        }
        assert!(meter.counts().evaluations() > 4);
        assert!(all_finite(problem.model.tensors()).unwrap());
        assert!(problem.measure().unwrap().loss.is_finite());
    }

    /// The bits of all running statistics.
    fn buffers(problem: &ClassificationProblem) -> Vec<Vec<u32>> {
        let snapshot = problem.model.tensors().snapshot_buffers().unwrap();
        let bits = |buffer: &Tensor| {
            let values = buffer.to_vec1::<f32>().unwrap();
            values.into_iter().map(f32::to_bits).collect()
        };
        snapshot.iter().map(bits).collect()
    }

    fn overlapping(overlap: f64) -> ClassificationProblem {
        let mut problem = problem(&[], "a", 1);
        problem.order = problem.order.with_overlap(overlap).unwrap();
        problem
    }

    /// A problem after some steps on one batch, and the evaluations that they took.
    fn after(
        config: impl Into<OptimizerConfig>,
        steps: u64,
        overlap: f64,
    ) -> (ClassificationProblem, u64) {
        let mut problem = overlapping(overlap);
        let mut optimizer = config.into().build(problem.parameters()).unwrap();
        let mut meter = Meter::new();
        for _ in 0..steps {
            let mut objective = problem.objective(1).unwrap();
            let mut oracle = Oracle::new(objective.as_mut(), &mut meter);
            optimizer.step(&mut oracle).unwrap();
        }
        (problem, meter.counts().evaluations())
    }

    /// The running statistics after one evaluation at each of the points.
    fn visited(points: &[&ClassificationProblem]) -> Vec<Vec<u32>> {
        let mut straight = problem(&[], "a", 1);
        straight.order = points[0].order.clone();
        for point in points {
            let values = point.parameters().snapshot().unwrap();
            straight.parameters().restore(&values).unwrap();
            evaluate(&mut straight, 1);
        }
        buffers(&straight)
    }

    #[test]
    fn joined_batches_are_one_batch_and_losses_of_samples_leave_no_trace() {
        let mut problem = problem(&[], "a", 1);
        let before = buffers(&problem);
        let mut objective = problem.joined_objective(1..3).unwrap();
        let losses = objective.sample_losses().unwrap();
        drop(objective);
        assert_eq!(buffers(&problem), before);
        assert_eq!(losses.len(), 512);
        let mean = losses.iter().sum::<f64>() / 512.0;
        let mut objective = problem.joined_objective(1..3).unwrap();
        let loss = objective.loss().unwrap();
        assert!((loss / mean - 1.0).abs() < 1e-6, "{loss} {mean}");
        // A rejected trial of the loss alone leaves no trace, an accepted one its own.
        drop(objective);
        let after = buffers(&problem);
        assert_ne!(after, before);
        for (accepted, expected) in [(None, &before), (Some(0), &after)] {
            let mut fresh = self::problem(&[], "a", 1);
            let mut objective = fresh.joined_objective(1..3).unwrap();
            let tried = objective.trial_loss().unwrap();
            objective.end_trials(accepted).unwrap();
            drop(objective);
            assert_eq!(tried.to_bits(), loss.to_bits());
            assert_eq!(&buffers(&fresh), expected);
        }
    }

    #[test]
    fn rejected_trials_leave_no_trace_in_running_statistics() {
        let start = problem(&[], "a", 1);
        for line_search in [LineSearch::Armijo, LineSearch::StrongWolfe] {
            // The first trials are too far away.
            let config = LbfgsConfig {
                lr: 1e4,
                line_search,
                max_iter: 1,
                max_eval: Some(20),
                ..LbfgsConfig::default()
            };
            let (end, evaluations) = after(config, 1, 0.0);
            assert!(evaluations > 2, "no trial was rejected");
            // As if nothing but the two points had been evaluated.
            assert_eq!(buffers(&end), visited(&[&start, &end]), "{line_search:?}");
        }
        // A search without a good trial.
        let config = LbfgsConfig {
            lr: 1e20,
            max_eval: Some(4),
            ..LbfgsConfig::default()
        };
        let (end, evaluations) = after(config, 1, 0.0);
        assert!(evaluations > 2, "nothing was tried");
        assert_eq!(buffers(&end), visited(&[&start]));
    }

    #[test]
    fn evaluations_that_only_complete_pairs_leave_no_trace_in_running_statistics() {
        let start = problem(&[], "a", 1);
        let warm = FusePvConfig {
            criterion: Criterion::Step(0),
            handover: Handover::WarmPairs,
            ..FusePvConfig::default()
        };
        let (end, evaluations) = after(warm, 1, 0.0);
        assert_eq!(evaluations, 2);
        assert_eq!(buffers(&end), visited(&[&start]));

        let blend = FuseConfig {
            theta: Theta::Constant(0.5),
            ..FuseConfig::default()
        };
        let (end, evaluations) = after(blend, 1, 0.0);
        assert!(evaluations > 1);
        assert_eq!(buffers(&end), visited(&[&start]));

        let start = overlapping(0.25);
        for pairs in [PairSource::FullOverlap, PairSource::Overlap] {
            let config = LbfgsConfig {
                pairs,
                max_iter: 1,
                line_search: LineSearch::Fixed,
                lr: 0.1,
                ..LbfgsConfig::default()
            };
            let (middle, _) = after(config.clone(), 1, 0.25);
            let (end, evaluations) = after(config, 2, 0.25);
            assert!(evaluations > 2, "no pair was evaluated again");
            assert_eq!(buffers(&end), visited(&[&start, &middle]), "{pairs:?}");
        }
    }

    #[test]
    fn the_gradient_of_shared_samples_is_the_same_from_both_batches() {
        let mut problem = problem(&[], "a", 1);
        let overlapping = problem.order.clone().with_overlap(0.25).unwrap();
        problem.order = overlapping;
        let count = problem.order.overlap();
        let own: Vec<u32> = problem.order.epoch(0).batch(0);
        let next: Vec<u32> = problem.order.epoch(0).batch(1);
        assert_eq!(own[own.len() - count..], next[..count]);
        let mut objective = problem.objective(1).unwrap();
        let shared = objective.overlap_gradient().unwrap();
        drop(objective);
        let (inputs, labels) = problem
            .data
            .train
            .batch(&next[..count], &Device::Cpu, DType::F32)
            .unwrap();
        let pass = Pass::Train { seed: 0 };
        let mut alone = Loss::new(&problem.parameters, || {
            cross_entropy(&problem.model.forward(&inputs, pass)?, &labels)
        });
        let alone = alone.loss_and_gradient().unwrap().1;
        for (shared, alone) in shared.tensors().iter().zip(alone.tensors()) {
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(flat(shared), flat(alone));
        }
    }

    #[test]
    fn precise_statistics_are_those_of_the_training_set_and_leave_no_trace() {
        let mut problem = problem(&[], "a", 1);
        // All training data in one batch: its own statistics are exact.
        let count = problem.data.train.len();
        problem.order =
            BatchOrder::with_options(1, count, count, &OrderOptions::default()).unwrap();
        problem.measure_train = count;
        evaluate(&mut problem, 0);
        let before = problem.model.tensors().snapshot_buffers().unwrap();
        let measured = problem.measure().unwrap();
        let indices: Vec<u32> = (0..count as u32).collect();
        let (inputs, labels) = problem
            .data
            .train
            .batch(&indices, &Device::Cpu, DType::F32)
            .unwrap();
        let by_batch = cross_entropy(
            &problem
                .model
                .forward(&inputs, Pass::Train { seed: 0 })
                .unwrap(),
            &labels,
        );
        let by_batch = Precision::number(&by_batch.unwrap()).unwrap();
        // Variances are divided by n - 1 in one and by n in the other; sums are taken in another order.
        assert!(
            (measured.loss - by_batch).abs() < 2e-3 * by_batch,
            "{measured:?} {by_batch}"
        );
        let running = measured.running_loss.unwrap();
        assert!(
            (running - by_batch).abs() > 0.02 * by_batch,
            "{measured:?} {by_batch}"
        );
        // The forward pass above moved the running statistics; the measurement had not.
        problem.model.tensors().restore_buffers(&before).unwrap();
        let again = problem.measure().unwrap();
        assert_eq!(again, measured);
        problem.config.statistics = Statistics::Running;
        let by_running = problem.measure().unwrap();
        assert_eq!(by_running.loss, running);
        assert_eq!(by_running.running_loss, None);
    }

    #[test]
    fn one_initialisation_is_shared_by_all_seeds() {
        let fault = [Fault::OneInitialisation];
        assert_eq!(
            start(&problem(&fault, "a", 1)),
            start(&problem(&fault, "a", 2))
        );
        assert_ne!(start(&problem(&[], "a", 1)), start(&problem(&[], "a", 2)));
    }

    #[test]
    fn scaling_maps_the_range_of_pixels_as_it_says() {
        let library = Library::from_env(None, Arc::new(Silent)).unwrap();
        let scaled = |scaling: Scaling| {
            let images = scaling
                .apply(library.images("digits").unwrap().train)
                .unwrap();
            let indices: Vec<u32> = (0..images.len() as u32).collect();
            images.batch(&indices, &Device::Cpu, DType::F64).unwrap().0
        };
        let range = |scaling: Scaling| {
            let pixels = scaled(scaling);
            let ends = [pixels.min_all(), pixels.max_all()];
            ends.map(|end| end.unwrap().to_scalar::<f64>().unwrap())
        };
        assert_eq!(range(Scaling::Unit), [0.0, 1.0]);
        assert_eq!(range(Scaling::Symmetric), [-1.0, 1.0]);
        let train = scaled(Scaling::Standard);
        assert!(train.mean_all().unwrap().to_scalar::<f64>().unwrap().abs() < 5e-4);
        let square = train.sqr().unwrap().mean_all().unwrap();
        assert!((square.to_scalar::<f64>().unwrap() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn images_are_varied_for_the_steps_alone_and_equally_for_all_optimizers() {
        let varied = |optimizer: &str| {
            let mut problem = problem(&[], optimizer, 1);
            problem.config.augmentation = Augmentation {
                flip: true,
                crop_padding: 1,
                random_resized_crop: false,
            };
            problem
        };
        let (mut plain, mut first, mut second) = (problem(&[], "a", 1), varied("a"), varied("b"));
        assert_eq!(plain.measure().unwrap(), first.measure().unwrap());
        assert_ne!(evaluate(&mut plain, 0), evaluate(&mut first, 0));
        assert_eq!(evaluate(&mut first, 0), evaluate(&mut second, 0));
        let epoch = first.steps_per_epoch();
        assert_eq!(evaluate(&mut first, epoch), evaluate(&mut second, epoch));
    }

    #[test]
    fn orders_and_augmentation_that_cannot_be_are_refused() {
        let good = &problem(&[], "a", 1).config;
        let order = |order| ClassificationConfig {
            order,
            ..good.clone()
        };
        let augmented = |augmentation| ClassificationConfig {
            augmentation,
            ..good.clone()
        };
        for (config, says) in [
            (
                order(OrderOptions {
                    overlap: -0.1,
                    ..OrderOptions::default()
                }),
                "`order`: overlap = -0.1",
            ),
            (
                augmented(Augmentation {
                    random_resized_crop: true,
                    ..Augmentation::default()
                }),
                "`augmentation`: random_resized_crop = true",
            ),
            (
                augmented(Augmentation {
                    crop_padding: 1 << 20,
                    ..Augmentation::default()
                }),
                "`augmentation`: crop_padding = 1048576",
            ),
        ] {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn in_f64_gradients_are_those_of_f32_and_differences_of_the_loss() {
        let mut single = problem(&[], "a", 1);
        let config = ClassificationConfig {
            precision: Precision::F64,
            ..single.config.clone()
        };
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let draw = Draw {
            seed: 1,
            optimizer: "a",
        };
        let mut double = ClassificationProblem::new(&config, draw, &environment).unwrap();
        let pair = [single.measure().unwrap(), double.measure().unwrap()];
        assert!((pair[0].loss / pair[1].loss - 1.0).abs() < 1e-5, "{pair:?}");
        let evaluate = |problem: &mut ClassificationProblem| {
            problem.objective(0).unwrap().loss_and_gradient().unwrap()
        };
        let (_, gradient) = evaluate(&mut double);
        // A central difference along the gradient, which f32 could not tell from rounding.
        let square: f64 = gradient.norm().unwrap().powi(2);
        let start = double.parameters.snapshot().unwrap();
        let mut along = |h: f64| {
            let moved: Vec<Tensor> = start
                .iter()
                .zip(gradient.tensors())
                .map(|(x, g)| (x + (g * (h / square)).unwrap()).unwrap())
                .collect();
            double.parameters.restore(&moved).unwrap();
            evaluate(&mut double).0
        };
        let difference = (along(1e-7) - along(-1e-7)) / 2e-7;
        assert!((difference - 1.0).abs() < 1e-6, "{difference}");
    }

    #[test]
    fn unpaired_batches_differ_from_optimizer_to_optimizer() {
        let loss = |faults: &[Fault], optimizer| evaluate(&mut problem(faults, optimizer, 1), 0);
        assert_eq!(loss(&[], "a"), loss(&[], "b"));
        let fault = [Fault::UnpairedOrder];
        assert_ne!(loss(&fault, "a"), loss(&fault, "b"));
        assert_eq!(loss(&fault, "a"), loss(&fault, "a"));
    }

    #[test]
    fn evaluation_mode_uses_running_statistics_from_the_second_epoch_on() {
        let (mut right, mut wrong) = (
            problem(&[], "a", 1),
            problem(&[Fault::EvaluationMode], "a", 1),
        );
        assert_eq!(evaluate(&mut right, 0), evaluate(&mut wrong, 0));
        let second_epoch = right.steps_per_epoch();
        assert_ne!(
            evaluate(&mut right, second_epoch),
            evaluate(&mut wrong, second_epoch)
        );
    }

    #[test]
    fn accuracy_of_the_first_test_batch_overrides_the_measured_part() {
        assert_eq!(problem(&[], "a", 1).measure_test, 64);
        // The test set has fewer images than the authors' batch.
        assert_eq!(problem(&[Fault::FirstTestBatch], "a", 1).measure_test, 359);
    }

    #[test]
    fn the_logged_loss_is_what_the_steps_saw_over_one_batch_too_many() {
        let made = |loss, final_loss, phase| Step {
            loss,
            final_loss,
            gradient_norm: 1.0,
            phase,
            iterations: 1,
            stop: StopReason::Updated,
        };
        let logged = |faults: &[Fault]| {
            let mut problem = problem(faults, "a", 1);
            let epoch = problem.steps_per_epoch();
            // Losses of an epoch before do not count.
            for step in 0..epoch {
                problem.observe(step, &made(100.0, None, Phase::FirstOrder));
            }
            let first = problem.measure().unwrap().loss;
            for step in epoch..2 * epoch {
                // Nothing is logged before the epoch's end.
                assert_eq!(problem.measure().unwrap().loss, first);
                let step_made = match step == epoch {
                    true => made(3.0, None, Phase::FirstOrder),
                    false => made(2.0, Some(1.0), Phase::SecondOrder),
                };
                problem.observe(step, &step_made);
            }
            (epoch as f64, problem.measure().unwrap().loss)
        };
        let (steps, divided) = logged(&[Fault::LossDivisor]);
        assert_eq!(divided, (3.0 + 2.0 * (steps - 1.0)) / (steps + 1.0));
        let after = logged(&[Fault::LossAfterStep]).1;
        assert_eq!(after, (3.0 + (steps - 1.0)) / steps);
        let both = logged(&[Fault::LossDivisor, Fault::LossAfterStep]).1;
        assert_eq!(both, (3.0 + (steps - 1.0)) / (steps + 1.0));
        let untrained = logged(&[]).1;
        assert!((untrained - 10f64.ln()).abs() < 1.0, "{untrained}");
    }
}
