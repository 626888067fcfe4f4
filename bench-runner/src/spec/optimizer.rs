//! Optimizers in experiment files.
//!
//! To add one: give it a variant of [`OptimizerConfig`] that holds its settings.

use optim::{
    AdamConfig, AdamSgdConfig, Criterion, FuseConfig, FusePvConfig, LbfgsConfig, Optimizer,
    PairSource, Parameters, SgdConfig,
};
use serde::{Deserialize, Serialize};

/// An optimizer and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent.
    Sgd(SgdConfig),
    /// Adam.
    Adam(AdamConfig),
    /// Adam, then SGD from a fixed point on.
    AdamSgd(AdamSgdConfig),
    /// Limited-memory BFGS.
    Lbfgs(LbfgsConfig),
    /// A mean of Adam's and L-BFGS's steps.
    Fuse(FuseConfig),
    /// Adam, then L-BFGS when a criterion says so.
    FusePv(FusePvConfig),
}

impl OptimizerConfig {
    /// The kinds, as experiment files name them, with a description.
    pub const KINDS: &[(&str, &str)] = &[
        ("sgd", "stochastic gradient descent"),
        ("adam", "Adam, AdamW and AMSGrad"),
        ("adam-sgd", "Adam, then SGD from a fixed step or epoch on"),
        ("lbfgs", "L-BFGS with strong Wolfe line search"),
        ("fuse", "a weighted mean of Adam's and L-BFGS's steps"),
        ("fuse-pv", "Adam, then L-BFGS when a switch criterion holds"),
    ];

    /// The criteria of `fuse-pv`, as experiment files write them, with a description.
    pub const CRITERIA: &[(&str, &str)] = &[
        ("{ epoch = 5 }", "from epoch 5 on (the paper's choice)"),
        ("{ step = 100 }", "after 100 steps"),
        (
            "{ grad-norm = { threshold = 0.5 } }",
            "the batch gradient's norm is at most 0.5",
        ),
        (
            "{ loss-level = { threshold = 2.0 } }",
            "the batch loss is below 2",
        ),
        (
            "{ loss-decrease = { window = 20, min_relative_decrease = 0.01 } }",
            "the mean loss of 20 steps is less than 1 % below that of the 20 before",
        ),
        (
            "{ noise-scale = { threshold = 1.0 } }",
            "the gradient's noise is no larger than its mean",
        ),
        (
            "{ any-of = [ … ] }",
            "at least one of several criteria holds",
        ),
        ("{ all-of = [ … ] }", "all of several criteria hold"),
        ("\"immediately\"", "L-BFGS throughout"),
        ("\"never\"", "Adam throughout"),
    ];

    /// The optimizer of `parameters`.
    ///
    /// # Errors
    /// When a setting is out of range, naming it.
    pub fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(match self.clone() {
            Self::Sgd(config) => Box::new(config.build(parameters)?),
            Self::Adam(config) => Box::new(config.build(parameters)?),
            Self::AdamSgd(config) => Box::new(config.build(parameters)?),
            Self::Lbfgs(config) => Box::new(config.build(parameters)?),
            Self::Fuse(config) => Box::new(config.build(parameters)?),
            Self::FusePv(config) => Box::new(config.build(parameters)?),
        })
    }

    /// The limit of evaluations in one step.
    pub fn evaluations_per_step(&self) -> u64 {
        match self {
            Self::Sgd(_) | Self::Adam(_) | Self::AdamSgd(_) => 1,
            Self::Lbfgs(config) => config.max_eval(),
            Self::Fuse(config) => config.lbfgs.max_eval(),
            Self::FusePv(config) => config.lbfgs.max_eval(),
        }
    }

    /// Vectors of the parameters' dimension that the optimizer holds, at most.
    pub fn vectors(&self) -> u64 {
        let adam = |config: &AdamConfig| 2 + u64::from(config.amsgrad);
        // Pairs, and a few: direction, the search's start, its gradients, the best point.
        let lbfgs = |config: &LbfgsConfig| 2 * config.history_size as u64 + 8;
        match self {
            Self::Sgd(_) => 1,
            Self::Adam(config) => adam(config),
            Self::AdamSgd(config) => adam(&config.adam) + 1,
            Self::Lbfgs(config) => lbfgs(config),
            Self::Fuse(config) => adam(&config.adam) + lbfgs(&config.lbfgs),
            Self::FusePv(config) => adam(&config.adam) + lbfgs(&config.lbfgs),
        }
    }

    /// Whether curvature pairs come from the samples that batches share.
    pub fn needs_overlap(&self) -> bool {
        let lbfgs = match self {
            Self::Sgd(_) | Self::Adam(_) | Self::AdamSgd(_) => return false,
            Self::Lbfgs(config) => config,
            Self::Fuse(config) => &config.lbfgs,
            Self::FusePv(config) => &config.lbfgs,
        };
        lbfgs.pairs == PairSource::Overlap
    }

    /// The switch criterion, of methods that have one.
    pub fn criterion(&self) -> Option<&Criterion> {
        match self {
            Self::FusePv(config) => Some(&config.criterion),
            Self::Sgd(_) | Self::Adam(_) | Self::AdamSgd(_) | Self::Lbfgs(_) | Self::Fuse(_) => {
                None
            }
        }
    }

    /// The learning rate, of the first phase where there are two; L-BFGS's first trial of a step.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Sgd(config) => config.learning_rate,
            Self::Adam(config) => config.learning_rate,
            Self::AdamSgd(config) => config.adam.learning_rate,
            Self::Lbfgs(config) => config.lr,
            Self::Fuse(config) => config.adam.learning_rate,
            Self::FusePv(config) => config.adam.learning_rate,
        }
    }

    /// All settings that differ from the defaults, in one line.
    pub fn settings(&self) -> String {
        let mut settings = match toml::Value::try_from(self) {
            Ok(toml::Value::Table(table)) => table,
            _ => toml::Table::new(),
        };
        let kind = settings.remove("kind");
        let mut parts: Vec<String> = kind
            .iter()
            .filter_map(|kind| kind.as_str().map(str::to_string))
            .collect();
        parts.extend(
            settings
                .iter()
                .filter(|(_, value)| !value.as_array().is_some_and(Vec::is_empty))
                .map(|(key, value)| format!("{key} = {value}")),
        );
        parts.join(", ")
    }
}
