//! Image classification: a network, a dataset, mini-batches in a seeded order.

use candle_core::{D, DType, Device, Tensor};
use models::loss::cross_entropy;
use models::{Model, ModelSpec, Pass};
use optim::{Loss, Objective, Parameters};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Environment, Measurement, Problem};
use crate::Result;
use crate::data::{BatchOrder, ImageSet, Splits};
use crate::random::{Stream, stream};

/// A classifier in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationConfig {
    /// The dataset, as `bench-runner data list` names it.
    pub data: String,
    /// The network.
    pub model: ModelSpec,
    /// Samples per step.
    pub batch_size: usize,
    /// Training samples that each measurement uses, the first of the training set; all by default.
    #[serde(default)]
    pub measure_train: Option<usize>,
    /// Test samples that each measurement uses, the first of the test set; all by default.
    #[serde(default)]
    pub measure_test: Option<usize>,
}

impl ClassificationConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.batch_size == 0 {
            return Err("`batch_size` = 0: at least 1 is needed".into());
        }
        if self.measure_train == Some(0) || self.measure_test == Some(0) {
            return Err("`measure_train` and `measure_test` must be at least 1".into());
        }
        Ok(())
    }

    pub(super) fn title(&self) -> String {
        format!("{} on {}", self.model.title(), self.data)
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
}

/// Samples in one forward pass of a measurement.
const MEASURE_BATCH: usize = 512;

impl ClassificationProblem {
    /// Loads the data and initialises the network.
    ///
    /// # Errors
    /// When the data is missing or the model's settings do not fit.
    pub fn new(
        config: &ClassificationConfig,
        seed: u64,
        environment: &Environment,
    ) -> Result<Self> {
        let device = &environment.device;
        let data = environment.library.images(&config.data)?;
        let model = config.model.build(seed, DType::F32, device)?;
        let parameters = Parameters::new(model.tensors().parameters.clone())?;
        let count = data.train.len();
        Ok(Self {
            model,
            parameters,
            order: BatchOrder::new(seed, count, config.batch_size.min(count), true)?,
            measure_train: config.measure_train.unwrap_or(count).min(count),
            measure_test: config
                .measure_test
                .unwrap_or(usize::MAX)
                .min(data.test.len()),
            data,
            device: device.clone(),
            seed,
        })
    }

    /// Mean loss and share of right answers over the first `count` samples.
    fn evaluate(&self, images: &ImageSet, count: usize) -> Result<(f64, f64)> {
        let (mut loss, mut right) = (0.0, 0.0);
        for start in (0..count).step_by(MEASURE_BATCH) {
            let end = count.min(start + MEASURE_BATCH);
            let indices: Vec<u32> = (start as u32..end as u32).collect();
            let (inputs, labels) = images.batch(&indices, &self.device, DType::F32)?;
            let logits = self.model.forward(&inputs, Pass::Eval)?;
            let share = indices.len() as f64;
            loss += share * f64::from(cross_entropy(&logits, &labels)?.to_scalar::<f32>()?);
            let hits = logits.argmax(D::Minus1)?.eq(&labels)?;
            right += f64::from(hits.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?);
        }
        Ok((loss / count as f64, right / count as f64))
    }
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

    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>> {
        let (epoch, batch) = self.order.at_step(step);
        let indices = self.order.epoch(epoch).batch(batch);
        let (inputs, labels) = self.data.train.batch(&indices, &self.device, DType::F32)?;
        let pass = Pass::Train {
            seed: stream(self.seed, Stream::Dropout, step).random(),
        };
        let model = &self.model;
        Ok(Box::new(Loss::new(
            &self.parameters,
            move || -> candle_core::Result<Tensor> {
                cross_entropy(&model.forward(&inputs, pass)?, &labels)
            },
        )))
    }

    fn measure(&mut self) -> Result<Measurement> {
        let (loss, _) = self.evaluate(&self.data.train, self.measure_train)?;
        let (test_loss, accuracy) = self.evaluate(&self.data.test, self.measure_test)?;
        Ok(Measurement {
            loss,
            test_loss: Some(test_loss),
            accuracy: Some(accuracy),
        })
    }
}
