//! Language modelling: predict each next token of windows drawn from a text in a seeded order.

use candle_core::{DType, Device, Tensor};
use models::loss::cross_entropy;
use models::{Model, ModelSpec, Pass};
use optim::{Loss, Objective, Parameters};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Environment, Measurement, Problem, check_order, invalid};
use crate::Result;
use crate::data::{BatchOrder, OrderOptions, Splits, Tokenizer, Tokens};
use crate::random::{Stream, stream};

/// A language model in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageConfig {
    /// The dataset, as `bench-runner data list` names it.
    pub data: String,
    /// How text becomes tokens; the 256 bytes by default.
    #[serde(default = "bytes", skip_serializing_if = "is_bytes")]
    pub tokenizer: Tokenizer,
    /// The network, whose vocabulary holds at least the tokenizer's.
    pub model: ModelSpec,
    /// Windows per step.
    pub batch_size: usize,
    /// Tokens per window.
    pub context: usize,
    /// How batches of windows are drawn.
    #[serde(default, skip_serializing_if = "OrderOptions::is_default")]
    pub order: OrderOptions,
    /// Windows of each split that a measurement uses, evenly spaced.
    #[serde(default = "sixty_four")]
    pub measure_windows: usize,
}

fn bytes() -> Tokenizer {
    Tokenizer::Bytes
}

fn is_bytes(tokenizer: &Tokenizer) -> bool {
    *tokenizer == Tokenizer::Bytes
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
        check_order(self.batch_size, &self.order)?;
        if let ModelSpec::Gpt(gpt) = &self.model
            && gpt.context < self.context
        {
            return Err(format!(
                "`context` = {}: at most the model's `context`, {}, is possible",
                self.context, gpt.context
            ));
        }
        match self.tokenizer.size() {
            Some(size) => self.check_vocabulary(size),
            None => Ok(()),
        }
    }

    /// Whether the model has an embedding for each token.
    fn check_vocabulary(&self, size: usize) -> Result<(), String> {
        match &self.model {
            ModelSpec::Gpt(gpt) if gpt.vocabulary < size => Err(format!(
                "`model.vocabulary` = {}: at least the tokenizer's {size} tokens are needed",
                gpt.vocabulary
            )),
            _ => Ok(()),
        }
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
        let tokens = environment
            .library
            .tokens(&config.data, &config.tokenizer)?;
        config
            .check_vocabulary(tokens.vocabulary.size())
            .map_err(invalid)?;
        let data = tokens.parts;
        let model = config.model.build(seed, DType::F32, device)?;
        let parameters = Parameters::new(model.tensors().parameters.clone())?;
        let windows = data.train.windows(config.context);
        Ok(Self {
            model,
            parameters,
            order: BatchOrder::with_options(seed, windows, config.batch_size, &config.order)?,
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

    /// Mean loss over evenly spaced windows.
    fn evaluate(&self, tokens: &Tokens) -> Result<f64> {
        let all = tokens.windows(self.context);
        if all == 0 {
            return Err(invalid(format!(
                "`context` = {}: a part of the text has only {} tokens",
                self.context,
                tokens.len()
            )));
        }
        let count = self.measure_windows.min(all);
        let indices: Vec<u32> = (0..count).map(|i| (i * all / count) as u32).collect();
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
        let test_loss = self.evaluate(&self.data.test)?;
        Ok(Measurement {
            loss: self.evaluate(&self.data.train)?,
            test_loss: Some(test_loss),
            accuracy: None,
            word_perplexity: Some(self.data.test.word_perplexity(test_loss)),
        })
    }
}
