//! The optimizers of the `optim` crate as kinds.

use optim::{
    AdamConfig, AdamSgdConfig, Criterion, FuseConfig, FuseContestConfig, FusePvConfig,
    GrowingAdamConfig, LbfgsConfig, LionConfig, MomentumLbfgsConfig, MuonConfig, NadamwConfig,
    Optimizer, PairSource, Parameters, ProdigyConfig, ScheduleFreeAdamwConfig, SgdConfig,
    ShampooConfig, SlsConfig, SoapConfig, SwatsConfig, SwitchAt,
};

use super::traits::{OptimizerConfig, OptimizerSettings};
use crate::settings::Kind;

/// The criteria of `fuse-pv`, as experiment files write them, with a description.
pub const CRITERIA: &[(&str, &str)] = &[
    ("{ epoch = 5 }", "from epoch 5 on (the paper's choice)"),
    ("{ step = 100 }", "after 100 steps"),
    ("{ evaluations = 100 }", "after 100 evaluations"),
    (
        "{ budget = 0.1 }",
        "after a tenth of the run's budget of evaluations",
    ),
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
        "{ progress = { window = 20, share = 0.1 } }",
        "the loss falls at a tenth of its fastest rate so far",
    ),
    (
        "{ projected-rate = { tolerance = 0.01 } }",
        "Adam's steps have become SGD's at a settled rate (SWATS)",
    ),
    (
        "{ any-of = [ … ] }",
        "at least one of several criteria holds",
    ),
    ("{ all-of = [ … ] }", "all of several criteria hold"),
    ("\"immediately\"", "L-BFGS throughout"),
    ("\"never\"", "Adam throughout"),
];

/// Gives the settings of a method of one evaluation a step their traits: its kind, what it is, the vectors that it holds,
/// and whether it depends on the width of the processor's vectors.
macro_rules! one_evaluation {
    ($config:ty, $name:literal, $about:literal, $vectors:expr) => {
        one_evaluation!($config, $name, $about, $vectors, false);
    };
    ($config:ty, $name:literal, $about:literal, $vectors:expr, $by_width:literal) => {
        impl Kind for $config {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
        }

        impl OptimizerSettings for $config {
            fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
                Ok(Box::new(self.clone().build(parameters)?))
            }

            fn with_budget(&self, evaluations: u64) -> Option<OptimizerConfig> {
                Some(self.clone().with_budget(evaluations).into())
            }

            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn depends_on_vector_width(&self) -> bool {
                $by_width
            }

            fn vectors(&self) -> u64 {
                let vectors: fn(&Self) -> u64 = $vectors;
                vectors(self)
            }
        }
    };
}

one_evaluation!(SgdConfig, "sgd", "stochastic gradient descent", |_| 1);
one_evaluation!(AdamConfig, "adam", "Adam, AdamW and AMSGrad", |config| 2
    + u64::from(config.amsgrad));
one_evaluation!(
    NadamwConfig,
    "nadamw",
    "AdamW with Nesterov's look-ahead",
    |_| 2
);
one_evaluation!(
    LionConfig,
    "lion",
    "steps of one size along the signs of a momentum",
    |_| 1
);
// Beside z and v, the average and the parameters that it replaces while it is measured.
one_evaluation!(
    ScheduleFreeAdamwConfig,
    "schedule-free-adamw",
    "AdamW with an average of its iterates in place of a schedule",
    |_| 4
);

one_evaluation!(
    ProdigyConfig,
    "prodigy",
    "Adam that estimates its learning rate",
    |_| 4
);
one_evaluation!(
    SwatsConfig,
    "swats",
    "Adam, then SGD when the rate of Adam's steps has settled",
    |_| 2
);
// The momentum or Adam's moments, and within a step the direction and products of its shape.
one_evaluation!(
    MuonConfig,
    "muon",
    "a momentum made orthogonal for matrices, Adam for the rest",
    |_| 6
);
// Moments, and for square matrices means and what is made of them; within a step some of its shape.
one_evaluation!(
    ShampooConfig,
    "shampoo",
    "the gradient between inverse roots of its second moments, with RMSProp's size",
    |_| 12,
    true
);
one_evaluation!(
    SoapConfig,
    "soap",
    "Adam in the eigenbases of Shampoo",
    |_| 12,
    true
);

// Pairs and the place of the next, seven vectors, and temporaries.
one_evaluation!(
    MomentumLbfgsConfig,
    "momentum-lbfgs",
    "L-BFGS with pairs from running means, and momentum",
    |config| 2 * config.history_size as u64 + 11
);

impl Kind for SlsConfig {
    const NAME: &'static str = "sls";
    const ABOUT: &'static str = "SGD with a line search on each batch";
}

impl OptimizerSettings for SlsConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(self.clone().build(parameters)?))
    }

    /// The first trial of the first step.
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn evaluations_per_step(&self) -> u64 {
        self.max_trials.saturating_add(1)
    }

    /// The search's start, and the gradient as one vector.
    fn vectors(&self) -> u64 {
        2
    }
}

impl Kind for AdamSgdConfig {
    const NAME: &'static str = "adam-sgd";
    const ABOUT: &'static str = "Adam, then SGD from a fixed step or epoch on";
}

impl OptimizerSettings for AdamSgdConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(self.clone().build(parameters)?))
    }

    fn with_budget(&self, evaluations: u64) -> Option<OptimizerConfig> {
        Some(self.clone().with_budget(evaluations).into())
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate
    }

    fn vectors(&self) -> u64 {
        self.adam.vectors() + 1
    }

    /// The authors switch at half the epochs, however many there are.
    fn with_epochs(&self, share: f64) -> Option<OptimizerConfig> {
        let SwitchAt::Epoch(epoch) = self.switch_at else {
            return None;
        };
        let mut scaled = self.clone();
        scaled.switch_at = SwitchAt::Epoch((epoch as f64 * share).round() as u64);
        Some(scaled.into())
    }
}

impl Kind for GrowingAdamConfig {
    const NAME: &'static str = "growing-adam";
    const ABOUT: &'static str = "Adam on batches that grow at a fixed point";
}

impl OptimizerSettings for GrowingAdamConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(self.clone().build(parameters)?))
    }

    fn with_budget(&self, evaluations: u64) -> Option<OptimizerConfig> {
        Some(self.clone().with_budget(evaluations).into())
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate
    }

    fn vectors(&self) -> u64 {
        self.adam.vectors()
    }

    fn chooses_batches(&self) -> bool {
        true
    }
}

impl Kind for LbfgsConfig {
    const NAME: &'static str = "lbfgs";
    const ABOUT: &'static str = "L-BFGS with strong Wolfe line search";
}

impl OptimizerSettings for LbfgsConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(self.clone().build(parameters)?))
    }

    /// The first trial of a step.
    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn evaluations_per_step(&self) -> u64 {
        self.max_eval()
    }

    /// Pairs, and a few: direction, the search's start, its gradients, the best point.
    fn vectors(&self) -> u64 {
        2 * self.history_size as u64 + 8
    }

    fn needs_overlap(&self) -> bool {
        self.pairs == PairSource::Overlap
    }

    fn chooses_batches(&self) -> bool {
        self.sample_test.is_some()
    }
}

impl Kind for FuseConfig {
    const NAME: &'static str = "fuse";
    const ABOUT: &'static str = "a weighted mean of Adam's and L-BFGS's steps";
}

impl OptimizerSettings for FuseConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(self.clone().build(parameters)?))
    }

    fn with_budget(&self, evaluations: u64) -> Option<OptimizerConfig> {
        Some(self.clone().with_budget(evaluations).into())
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate
    }

    fn evaluations_per_step(&self) -> u64 {
        self.lbfgs.max_eval()
    }

    fn vectors(&self) -> u64 {
        self.adam.vectors() + self.lbfgs.vectors()
    }

    fn needs_overlap(&self) -> bool {
        self.lbfgs.needs_overlap()
    }

    fn chooses_batches(&self) -> bool {
        self.lbfgs.chooses_batches()
    }
}

impl Kind for FusePvConfig {
    const NAME: &'static str = "fuse-pv";
    const ABOUT: &'static str = "Adam, then L-BFGS when a switch criterion holds";
}

impl OptimizerSettings for FusePvConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(self.clone().build(parameters)?))
    }

    fn with_budget(&self, evaluations: u64) -> Option<OptimizerConfig> {
        Some(self.clone().with_budget(evaluations).into())
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate
    }

    fn evaluations_per_step(&self) -> u64 {
        let second = self.momentum_lbfgs.as_ref();
        second.map_or(self.lbfgs.max_eval(), |second| {
            second.evaluations_per_step()
        })
    }

    fn vectors(&self) -> u64 {
        let second = self.momentum_lbfgs.as_ref();
        self.adam.vectors() + second.map_or(self.lbfgs.vectors(), |second| second.vectors())
    }

    fn needs_overlap(&self) -> bool {
        self.momentum_lbfgs.is_none() && self.lbfgs.needs_overlap()
    }

    fn chooses_batches(&self) -> bool {
        let second = self.momentum_lbfgs.is_none() && self.lbfgs.chooses_batches();
        second || self.switch_batch.is_some()
    }

    fn criterion(&self) -> Option<&Criterion> {
        Some(&self.criterion)
    }
}

impl Kind for FuseContestConfig {
    const NAME: &'static str = "fuse-contest";
    const ABOUT: &'static str =
        "Adam or L-BFGS, whichever gets further in contests from the same point";
}

impl OptimizerSettings for FuseContestConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(self.clone().build(parameters)?))
    }

    fn with_budget(&self, evaluations: u64) -> Option<OptimizerConfig> {
        Some(self.clone().with_budget(evaluations).into())
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate
    }

    fn evaluations_per_step(&self) -> u64 {
        self.lbfgs.max_eval()
    }

    /// Both methods, two points, and what L-BFGS held before a trial.
    fn vectors(&self) -> u64 {
        self.adam.vectors() + 2 * self.lbfgs.vectors() + 2
    }

    fn needs_overlap(&self) -> bool {
        self.lbfgs.needs_overlap()
    }
}
