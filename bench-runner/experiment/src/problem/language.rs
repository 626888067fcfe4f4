//! Language modelling: predict each next token of windows drawn from a text in a seeded order.

use std::ops::Range;

use bench_data::{BatchOrder, Catalogue, Library, OrderOptions, Splits, Tokenizer, Tokens};
use bench_stats::random::{Stream, stream};
use candle_core::{DType, Device, Tensor};
use models::{Model, ModelSpec, Pass, Summary};
use optim::{Loss, Objective, Parameters};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::batch::{BatchLoss, check_order, check_share, shared};
use super::precision::Precision;
use super::traits::{
    Draw, Environment, Measurement, Problem, ProblemConfig, ProblemSettings, Work,
};
use crate::error::Result;
use crate::settings::{Invalid, Kind};

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
    /// The number format of the network.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Windows per step.
    pub batch_size: usize,
    /// Tokens per window.
    pub context: usize,
    /// How batches of windows are drawn.
    #[serde(default, skip_serializing_if = "OrderOptions::is_default")]
    pub order: OrderOptions,
    /// The share of the training text, its end, that is held out and measured in the test text's place: for
    /// choosing settings. Where the dataset has a validation text, that is used instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
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

impl Kind for LanguageConfig {
    const NAME: &'static str = "language";
    const ABOUT: &'static str = "a network on a text";
}

impl ProblemSettings for LanguageConfig {
    fn check(&self) -> Result<(), Invalid> {
        for (key, value) in [
            ("batch_size", self.batch_size),
            ("context", self.context),
            ("measure_windows", self.measure_windows),
        ] {
            if value == 0 {
                return Err(Invalid::value(key, 0, "at least 1 is needed"));
            }
        }
        let size = self.model.check_size();
        size.map_err(|error| Invalid::new("model", error))?;
        check_share(self.validation)?;
        check_order(self.batch_size, &self.order)?;
        if let ModelSpec::Gpt(gpt) = &self.model
            && gpt.context < self.context
        {
            return Err(Invalid::value(
                "context",
                self.context,
                format!(
                    "at most the model's `context`, {}, is possible",
                    gpt.context
                ),
            ));
        }
        if let Tokenizer::Bpe { size } = self.tokenizer
            && size < Tokenizer::SMALLEST_BPE
        {
            return Err(Invalid::value(
                "tokenizer.size",
                size,
                format!(
                    "at least {} is needed, the bytes and one merge",
                    Tokenizer::SMALLEST_BPE
                ),
            ));
        }
        match self.tokenizer.size() {
            Some(size) => self.check_vocabulary(size),
            None => Ok(()),
        }
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        let problem = LanguageProblem::new(self, draw.seed, environment)?;
        Ok(Box::new(problem))
    }

    fn title(&self) -> String {
        let title = format!("{} on {}", self.model.title(), self.data);
        self.precision.title(title)
    }

    fn loss_name(&self) -> &'static str {
        "training cross-entropy (nats per token)"
    }

    fn has_overlap(&self) -> bool {
        self.order.overlap > 0.0
    }

    fn describe(&self, _catalogue: &Catalogue) -> Result<Option<Summary>> {
        let window = Tensor::zeros((1, self.context), DType::U32, &Device::Cpu)?;
        Ok(Some(self.model.describe_for(&window)?))
    }

    fn work(&self, catalogue: &Catalogue) -> Result<Option<Work>> {
        let Some(network) = self.describe(catalogue)? else {
            return Ok(None);
        };
        let window = network.multiply_adds();
        Ok(Some(Work {
            parameters: network.parameters() as u64,
            // The catalogue does not tell the number of tokens.
            steps_per_epoch: None,
            evaluation: 3 * window * self.batch_size as u64,
            measurement: 2 * window * self.measure_windows as u64,
        }))
    }

    /// Of an encoding that is in a file, or made of the text's characters, the size is not known before it is read.
    fn with_sizes_of_data(
        &self,
        _catalogue: Option<&Catalogue>,
        left_out: &dyn Fn(&str) -> bool,
    ) -> Option<ProblemConfig> {
        let tokens = self.tokenizer.size()?;
        let mut fitted = self.clone();
        for (key, size) in fitted.model.sizes_of_data() {
            if key == "vocabulary" && left_out(key) {
                *size = tokens;
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

    /// The dataset, and the tokenizer's file or folder if it comes from one.
    fn data(&self) -> Vec<String> {
        let own = match &self.tokenizer {
            Tokenizer::Gpt2 { folder: Some(path) } | Tokenizer::File { path } => Some(path),
            _ => None,
        };
        let own = own.map(|path| path.display().to_string());
        [self.data.clone()].into_iter().chain(own).collect()
    }

    fn data_sha256(&self, name: &str, library: &Library) -> Result<String> {
        Ok(if name == self.data {
            library.corpus_sha256(name)?
        } else {
            library.vocabulary(&self.data, &self.tokenizer)?.sha256()
        })
    }
}

impl LanguageConfig {
    /// Whether the model has an embedding for each token.
    fn check_vocabulary(&self, size: usize) -> Result<(), Invalid> {
        match &self.model {
            ModelSpec::Gpt(gpt) if gpt.vocabulary < size => Err(Invalid::value(
                "model.vocabulary",
                gpt.vocabulary,
                format!("at least the tokenizer's {size} tokens are needed"),
            )),
            _ => Ok(()),
        }
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
        let tokens = environment
            .library
            .tokens(&config.data, &config.tokenizer)?;
        config.check_vocabulary(tokens.vocabulary.size())?;
        let data = tokens.parts;
        let model = config.model.build(seed, config.precision.dtype(), device)?;
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
            order: BatchOrder::with_options(seed, windows, config.batch_size, &config.order)?,
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
        self.model.loss(&windows.0, &windows.1, pass)
    }

    /// Mean loss over evenly spaced windows of a range.
    fn evaluate(&self, tokens: &Tokens, windows: Range<usize>) -> Result<f64> {
        if windows.is_empty() {
            let reason = format!("a part of the text has only {} tokens", tokens.len());
            return Err(Invalid::value("context", self.context, reason).into());
        }
        let count = self.measure_windows.min(windows.len());
        let indices: Vec<u32> = (0..count)
            .map(|i| (windows.start + i * windows.len() / count) as u32)
            .collect();
        let mut loss = 0.0;
        for chunk in indices.chunks(16) {
            let windows = tokens.batch(chunk, self.context, &self.device)?;
            let mean = Precision::number(&self.loss(&windows, Pass::Eval)?)?;
            loss += mean * chunk.len() as f64;
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

    fn samples(&self, step: u64) -> Option<u64> {
        Some(self.order.batch_size_at(step) as u64)
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
        let loss = |windows| {
            let problem = &*self;
            Loss::new(&problem.parameters, move || problem.loss(&windows, pass))
        };
        Ok(Box::new(BatchLoss {
            shared: shared(&windows, self.order.overlap())?.map(loss),
            batch: loss(windows),
        }))
    }

    fn measure(&mut self) -> Result<Measurement> {
        let (test, from) = match &self.held_out {
            Some((text, from)) => (text, *from),
            None => (&self.data.test, 0),
        };
        let test_loss = self.evaluate(test, from..test.windows(self.context))?;
        let loss = self.evaluate(&self.data.train, 0..self.windows)?;
        Ok(Measurement {
            test_loss: Some(test_loss),
            word_perplexity: Some(test.word_perplexity(test_loss)),
            ..Measurement::of_loss(loss)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bench_data::{Hub, HubOptions};

    fn config(settings: &str, vocabulary: usize) -> LanguageConfig {
        toml::from_str(&format!(
            "data = \"moby-dick\"\nbatch_size = 4\ncontext = 16\nmeasure_windows = 2\n{settings}\n[model]\nkind = \"gpt\"\nvocabulary = {vocabulary}\ncontext = 16\nlayers = 1\nheads = 1\nwidth = 8"
        ))
        .unwrap()
    }

    fn problem(config: &LanguageConfig, cache: &std::path::Path) -> Result<LanguageProblem> {
        let hub = Hub::new(HubOptions {
            cache: cache.into(),
            offline: true,
            ..HubOptions::from_env()
        });
        let environment = Environment {
            library: Library::new(Catalogue::built_in().unwrap(), hub).into(),
            device: Device::Cpu,
        };
        LanguageProblem::new(config, 0, &environment)
    }

    #[test]
    fn each_tokenizer_reports_perplexity_per_token_and_per_word() {
        let cache = tempfile::tempdir().unwrap();
        let mut tokens = Vec::new();
        for (settings, vocabulary) in [
            ("", 256),
            ("tokenizer = { kind = \"characters\" }", 81),
            ("tokenizer = { kind = \"bpe\", size = 300 }", 300),
        ] {
            let config = config(settings, vocabulary);
            config.check().unwrap();
            let mut problem = problem(&config, cache.path()).unwrap();
            let measured = problem.measure().unwrap();
            let test = &problem.data.test;
            // An untrained model gives each token about the same probability.
            let per_token = measured.test_loss.unwrap().exp();
            assert!(
                (per_token / vocabulary as f64 - 1.0).abs() < 0.3,
                "{per_token}"
            );
            let tokens_per_word = test.len() as f64 / (test.words() + test.lines()) as f64;
            let per_word = measured.word_perplexity.unwrap();
            assert!((per_word.ln() / (tokens_per_word * per_token.ln()) - 1.0).abs() < 1e-12);
            tokens.push(test.len());
            problem.objective(0).unwrap().loss_and_gradient().unwrap();
        }
        // The text has a few characters of several bytes; merged tokens are longer.
        assert!(tokens[0] > tokens[1] && tokens[1] > tokens[2], "{tokens:?}");
    }

    #[test]
    fn settings_that_do_not_fit_are_refused_before_any_work() {
        for (settings, vocabulary, says) in [
            (
                "",
                255,
                "`model.vocabulary` = 255: at least the tokenizer's 256 tokens",
            ),
            (
                "tokenizer = { kind = \"gpt2\" }",
                300,
                "the tokenizer's 50257 tokens",
            ),
            (
                "tokenizer = { kind = \"bpe\", size = 9 }",
                300,
                "at least 257",
            ),
            (
                "order = { overlap = 1.0 }",
                256,
                "`order`: overlap = 1 is out of range",
            ),
        ] {
            let error = config(settings, vocabulary)
                .check()
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{error}");
        }
        let long = LanguageConfig {
            context: 17,
            ..config("", 256)
        };
        assert!(
            long.check()
                .unwrap_err()
                .to_string()
                .contains("at most the model's `context`, 16")
        );
        let cache = tempfile::tempdir().unwrap();
        let small = config("tokenizer = { kind = \"characters\" }", 80);
        small.check().unwrap();
        let error = problem(&small, cache.path()).err().unwrap().to_string();
        assert!(error.contains("the tokenizer's 81 tokens"), "{error}");
    }

    #[test]
    fn in_f64_a_measurement_is_that_of_f32() {
        let cache = tempfile::tempdir().unwrap();
        let [single, double] = ["", "precision = \"f64\""].map(|settings| {
            let mut problem = problem(&config(settings, 256), cache.path()).unwrap();
            let dtype = problem.parameters.dtype();
            problem.objective(0).unwrap().loss_and_gradient().unwrap();
            (dtype, problem.measure().unwrap().loss)
        });
        assert_eq!((single.0, double.0), (DType::F32, DType::F64));
        assert!((single.1 / double.1 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn an_overlap_and_partial_batches_shape_the_epochs() {
        let cache = tempfile::tempdir().unwrap();
        let config = config("order = { overlap = 0.5, drop_last = false }", 256);
        let problem = problem(&config, cache.path()).unwrap();
        assert_eq!(problem.order.overlap(), 2);
        let windows = problem.data.train.windows(16) as u64;
        assert_eq!(problem.steps_per_epoch(), windows.div_ceil(2));
    }
}
