//! Language modelling: predict each next token of windows drawn from a text in a seeded order.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use models::loss::cross_entropy;
use models::{Model, ModelSpec, Pass};
use optim::{Loss, Objective, Parameters};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Environment, Measurement, Problem, check_share};
use crate::Result;
use crate::data::{BatchOrder, Splits, Tokenizer, Tokens};
use crate::random::{Stream, stream};

/// A language model in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageConfig {
    /// The dataset, as `bench-runner data list` names it.
    pub data: String,
    /// The network.
    pub model: ModelSpec,
    /// Windows per step.
    pub batch_size: usize,
    /// Tokens per window.
    pub context: usize,
    /// The share of the training text, its end, that is held out and measured in the test text's place: for
    /// choosing settings. Where the dataset has a validation text, that is used instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Windows of each split that a measurement uses, evenly spaced.
    #[serde(default = "sixty_four")]
    pub measure_windows: usize,
}

fn sixty_four() -> usize {
    64
}

impl LanguageConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        for (key, value) in [
            ("batch_size", self.batch_size),
            ("context", self.context),
            ("measure_windows", self.measure_windows),
        ] {
            if value == 0 {
                return Err(format!("`{key}` = 0: at least 1 is needed"));
            }
        }
        check_share(self.validation)
    }

    pub(super) fn title(&self) -> String {
        format!("{} on {}", self.model.title(), self.data)
    }
}

/// A language model being trained.
pub struct LanguageProblem {
    model: Box<dyn Model>,
    parameters: Parameters,
    data: Splits<Tokens>,
    /// Windows of the training text that are trained on, the first ones.
    windows: usize,
    /// What is measured in the test text's place, from which window on.
    held_out: Option<(Tokens, usize)>,
    order: BatchOrder,
    context: usize,
    measure_windows: usize,
    device: Device,
    seed: u64,
}

impl LanguageProblem {
    /// Loads the text and initialises the network.
    ///
    /// # Errors
    /// When the data is missing or the model's settings do not fit.
    pub fn new(config: &LanguageConfig, seed: u64, environment: &Environment) -> Result<Self> {
        let device = &environment.device;
        let data = environment
            .library
            .tokens(&config.data, &Tokenizer::Bytes)?
            .parts;
        let model = config.model.build(seed, DType::F32, device)?;
        let parameters = Parameters::new(model.tensors().parameters.clone())?;
        let all = data.train.windows(config.context);
        let (windows, held_out) = match (config.validation, &data.validation) {
            (None, _) => (all, None),
            (Some(_), Some(text)) => (all, Some((text.clone(), 0))),
            (Some(share), None) => {
                let kept = ((all as f64 * (1.0 - share)) as usize).clamp(1, all.max(2) - 1);
                (kept, Some((data.train.clone(), kept)))
            }
        };
        Ok(Self {
            model,
            parameters,
            order: BatchOrder::new(seed, windows, config.batch_size.min(windows), true)?,
            windows,
            held_out,
            data,
            context: config.context,
            measure_windows: config.measure_windows,
            device: device.clone(),
            seed,
        })
    }

    fn loss(&self, windows: &(Tensor, Tensor), pass: Pass) -> candle_core::Result<Tensor> {
        let logits = self.model.forward(&windows.0, pass)?;
        cross_entropy(&logits.flatten_to(1)?, &windows.1.flatten_all()?)
    }

    /// Mean loss over evenly spaced windows of a range.
    fn evaluate(&self, tokens: &Tokens, windows: Range<usize>) -> Result<f64> {
        let count = self.measure_windows.min(windows.len());
        let indices: Vec<u32> = (0..count)
            .map(|i| (windows.start + i * windows.len() / count) as u32)
            .collect();
        let mut loss = 0.0;
        for chunk in indices.chunks(16) {
            let windows = tokens.batch(chunk, self.context, &self.device)?;
            let mean = self.loss(&windows, Pass::Eval)?.to_scalar::<f32>()?;
            loss += f64::from(mean) * chunk.len() as f64;
        }
        Ok(loss / count as f64)
    }
}

impl Problem for LanguageProblem {
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
        let windows = self
            .data
            .train
            .batch(&indices, self.context, &self.device)?;
        let pass = Pass::Train {
            seed: stream(self.seed, Stream::Dropout, step).random(),
        };
        let problem = &*self;
        Ok(Box::new(Loss::new(&problem.parameters, move || {
            problem.loss(&windows, pass)
        })))
    }

    fn measure(&mut self) -> Result<Measurement> {
        let (test, from) = match &self.held_out {
            Some((text, from)) => (text, *from),
            None => (&self.data.test, 0),
        };
        Ok(Measurement {
            loss: self.evaluate(&self.data.train, 0..self.windows)?,
            test_loss: Some(self.evaluate(test, from..test.windows(self.context))?),
            accuracy: None,
        })
    }
}
