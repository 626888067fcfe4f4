//! Evidence for claims: what is observed, and how.

use candle_core::Device;
use optim::Criterion;
use serde::Deserialize;

use super::build::{Build, problem, quadratic};
use super::descents::{self, Descent, Descents, inverse_targets};
use super::steps;
use crate::error::Result;
use crate::optimizer::OptimizerConfig;
use crate::problem::{Environment, FunctionConfig, Problem, ProblemSettings};
use crate::settings::Invalid;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Evidence {
    /// The exponent of d in the elements that a step reads and writes, over six dimensions: counted.
    ElementsPerStep {
        /// Whose step.
        optimizer: OptimizerConfig,
    },
    /// The vectors that a step reads and writes more for each further pair in a full memory: counted.
    PassesPerPair {},
    /// The vectors held more for each further pair in a full memory: counted.
    VectorsPerPair {},
    /// The vectors of state held: counted.
    VectorsHeld {
        /// By which optimizer.
        optimizer: OptimizerConfig,
    },
    /// The evaluations of a step: counted.
    EvaluationsPerStep {
        /// Whose step.
        optimizer: OptimizerConfig,
    },
    /// Steps of L-BFGS with a fixed step length that are not −Hg, H being the matrix that the BFGS formula makes
    /// of the last 5 pairs (to one part in a million; quadratics without noise, 10 starts): counted.
    StepsOffTheFormula {},
    /// Steps of FUSE-PV with the phase that its criterion's definition does not give, judged by the losses and
    /// gradient norms of the steps before (noisy quadratics, 10 seeds): counted.
    MisjudgedSteps {
        /// The criteria, each by itself: `epoch`, `step`, `grad-norm`, `loss-level`, `loss-decrease`.
        criteria: Vec<Criterion>,
    },
    /// Parameters, over 60 steps, whose bits differ from those of Adam (θ = 1) or L-BFGS (θ = 0): counted.
    DifferingBits {
        /// 0 or 1.
        theta: u8,
    },
    /// The smallest R², over condition numbers, of the line of ln(f − f*) against evaluations of full-batch
    /// L-BFGS on quadratics; runs are random starts.
    LogLinearity {
        /// Condition numbers.
        conditions: Vec<f64>,
        /// Gradient noise: 0 but in a check of the check.
        #[serde(default)]
        noise: f64,
    },
    /// The exponent of 1/ε in the evaluations until f − f* ≤ ε on a quadratic (10 variables), over six ε in
    /// geometric progression.
    EvaluationsExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// The learning rate as a multiple of ε; the optimizer's own without it.
        rate_per_target: Option<f64>,
        /// Gradient noise.
        noise: f64,
        /// The condition number.
        #[serde(default = "ten")]
        condition: f64,
        /// The largest ε; each next one is half as large.
        first_target: f64,
        /// Evaluations that do not count: those before the switch.
        #[serde(default)]
        after_switch: bool,
    },
    /// The exponent of 1/ε in the evaluations until ‖∇f‖ ≤ ε, the gradient without noise, on a function, over
    /// six ε in geometric progression.
    GradientExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// The function, with its gradient noise.
        function: FunctionConfig,
        /// The learning rate as a multiple of ε².
        rate_per_square: f64,
        /// The largest ε; each next one is half as large.
        first_target: f64,
    },
    /// The exponent of κ in the evaluations until f − f* ≤ ε on quadratics without noise.
    ConditionExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// Variables.
        dimension: usize,
        /// The condition numbers κ: six or more, in geometric progression.
        conditions: Vec<f64>,
        /// ε.
        target: f64,
    },
    /// Evaluations per batch of an optimizer on the digits with the paper's MLP, from the tenth batch on.
    EvaluationsPerBatch {
        /// The built-in suite whose optimizer it is.
        suite: String,
        /// Its label.
        optimizer: String,
    },
    /// The share of a suite's problems that are no tie, on which the best trial of one method is cheaper than the
    /// best trial of another: by the median, over seeds and ten targets, of the ratio of their evaluations. Within
    /// ±10 % is a tie.
    Wins {
        /// The built-in suite.
        suite: String,
        /// The method that is claimed to win: its label without what a grid of settings added.
        method: String,
        /// The method that it is compared with.
        other: String,
        /// Parts of problems' labels, `noise=0.0` for example: only problems with one of them count; all do
        /// where none is given.
        #[serde(default)]
        within: Vec<String>,
    },
    /// The probability that a run of one method ends at a lower loss than the run of another with the same
    /// problem and seed: the share of such pairs, those that differ.
    ProbabilityOfLowerLoss {
        /// The built-in suite.
        suite: String,
        /// The method's label.
        method: String,
        /// The other's label.
        other: String,
        /// As for [`Wins`](Self::Wins).
        #[serde(default)]
        within: Vec<String>,
    },
    /// Nothing, and why.
    Untestable {
        /// Why.
        reason: String,
    },
}

/// Condition numbers of a claim, at most; each costs the descents of all seeds.
const MOST_CONDITIONS: usize = 100;
/// Variables of a claim's quadratic, at most.
const MOST_VARIABLES: usize = 100_000;

fn ten() -> f64 {
    10.0
}

/// What was observed for evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// A count, the same in every run.
    Count(f64),
    /// Counts over sizes in geometric progression.
    Counts {
        /// The sizes.
        sizes: Vec<f64>,
        /// The count at each.
        counts: Vec<f64>,
    },
    /// The costs of each seed's run, over sizes in geometric progression.
    Costs {
        /// The sizes.
        sizes: Vec<f64>,
        /// The costs at each.
        costs: Vec<Vec<f64>>,
    },
    /// For each condition number the descents of each seed.
    Descents(Vec<Vec<Descent>>),
    /// The mean of each seed.
    Means(Vec<f64>),
    /// Nothing: a suite's results tell.
    OfSuite,
    /// Nothing, and why.
    Nothing(String),
}

impl Evidence {
    /// Whether it is held against a bound or a rate, with which runs can be consistent and no more.
    pub fn is_bound(&self) -> bool {
        matches!(
            self,
            Self::LogLinearity { .. }
                | Self::EvaluationsExponent { .. }
                | Self::GradientExponent { .. }
                | Self::ConditionExponent { .. }
        )
    }

    /// The built-in suite whose results it rests on.
    pub fn suite(&self) -> Option<&str> {
        match self {
            Self::Wins { suite, .. } | Self::ProbabilityOfLowerLoss { suite, .. } => Some(suite),
            _ => None,
        }
    }

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), Invalid> {
        self.check_numbers()?;
        match self {
            Self::DifferingBits { theta: 2.. } => Err(Invalid::new("theta", "must be 0 or 1")),
            Self::GradientExponent { function, .. } => function.check(),
            Self::ConditionExponent { conditions, .. } if conditions.len() < 6 => {
                Err(Invalid::new("conditions", "must be six or more"))
            }
            Self::LogLinearity { conditions, .. } if conditions.is_empty() => {
                Err(Invalid::new("conditions", "must be one or more"))
            }
            Self::MisjudgedSteps { criteria }
                if criteria.is_empty() || !criteria.iter().all(steps::is_defined) =>
            {
                Err(Invalid::new(
                    "criteria",
                    "must be one or more of `epoch`, `step`, `grad-norm`, `loss-level` and `loss-decrease`",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether every number is one that a probe can begin with.
    fn check_numbers(&self) -> Result<(), Invalid> {
        let positive = |key: &str, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(Invalid::value(
                key,
                value,
                "a finite number above 0 is needed",
            )),
        };
        let quadratics = |key: &str, dimension: usize, conditions: &[f64], noise: f64| {
            if conditions.len() > MOST_CONDITIONS {
                let reason = format!(
                    "{}: at most {MOST_CONDITIONS} are possible",
                    conditions.len()
                );
                return Err(Invalid::new(key, reason));
            }
            let mut all = conditions.iter();
            all.try_for_each(|&condition| quadratic(dimension, condition, noise).check())
        };
        match self {
            Self::LogLinearity { conditions, noise } => {
                quadratics("conditions", 10, conditions, *noise)
            }
            Self::EvaluationsExponent {
                rate_per_target,
                noise,
                condition,
                first_target,
                ..
            } => {
                positive("rate_per_target", rate_per_target.unwrap_or(1.0))?;
                positive("first_target", *first_target)?;
                quadratics("condition", 10, &[*condition], *noise)
            }
            Self::GradientExponent {
                rate_per_square,
                first_target,
                ..
            } => {
                positive("rate_per_square", *rate_per_square)?;
                positive("first_target", *first_target)
            }
            Self::ConditionExponent {
                dimension,
                conditions,
                target,
                ..
            } => {
                positive("target", *target)?;
                if *dimension > MOST_VARIABLES {
                    let reason = format!("at most {MOST_VARIABLES} are possible");
                    return Err(Invalid::value("dimension", *dimension, reason));
                }
                quadratics("conditions", *dimension, conditions, 0.0)
            }
            _ => Ok(()),
        }
    }

    /// Observes what a probe tells, with optimizers made by `build`.
    ///
    /// # Errors
    /// When a problem or an optimizer cannot be built, or a step fails.
    pub fn observe(&self, build: Build<'_>, environment: &Environment) -> Result<Observed> {
        let exponent = |descents: &Descents<'_>| -> Result<Observed> {
            Ok(Observed::Costs {
                sizes: descents.sizes.clone(),
                costs: descents::evaluations(descents, build)?,
            })
        };
        Ok(match self {
            Self::ElementsPerStep { optimizer } => {
                let (sizes, counts) = steps::elements_per_step(optimizer, build)?;
                Observed::Counts { sizes, counts }
            }
            Self::PassesPerPair {} => Observed::Count(steps::per_pair(build)?.0),
            Self::VectorsPerPair {} => Observed::Count(steps::per_pair(build)?.1),
            Self::VectorsHeld { optimizer } => {
                Observed::Count(steps::single(optimizer, build)?.state)
            }
            Self::EvaluationsPerStep { optimizer } => {
                Observed::Count(steps::single(optimizer, build)?.evaluations)
            }
            Self::DifferingBits { theta } => Observed::Count(steps::differing_bits(*theta, build)?),
            Self::StepsOffTheFormula {} => Observed::Count(steps::off_the_formula(build)?),
            Self::MisjudgedSteps { criteria } => {
                Observed::Count(steps::misjudged(criteria, build)?)
            }
            Self::LogLinearity { conditions, noise } => {
                Observed::Descents(descents::of_lbfgs(conditions, *noise, build)?)
            }
            Self::EvaluationsExponent {
                optimizer,
                rate_per_target,
                noise,
                condition,
                first_target,
                after_switch,
            } => exponent(&Descents {
                optimizer,
                sizes: inverse_targets(*first_target),
                problem: &|_, seed| problem(*condition, *noise, seed),
                rate: &|size| rate_per_target.map(|factor| factor / size),
                error: &|problem| Ok(problem.measure()?.loss),
                target: &f64::recip,
                after_switch: *after_switch,
            })?,
            Self::GradientExponent {
                optimizer,
                function,
                rate_per_square,
                first_target,
            } => exponent(&Descents {
                optimizer,
                sizes: inverse_targets(*first_target),
                problem: &|_, seed| function.problem(seed, &Device::Cpu),
                rate: &|size| Some(rate_per_square / (size * size)),
                error: &|problem| problem.gradient_norm(),
                target: &f64::recip,
                after_switch: false,
            })?,
            Self::ConditionExponent {
                optimizer,
                dimension,
                conditions,
                target,
            } => exponent(&Descents {
                optimizer,
                sizes: conditions.clone(),
                problem: &|condition, seed| {
                    let config = quadratic(*dimension, condition, 0.0);
                    config.problem(seed, &Device::Cpu)
                },
                rate: &|_| None,
                error: &|problem| Ok(problem.measure()?.loss),
                target: &|_| *target,
                after_switch: false,
            })?,
            Self::EvaluationsPerBatch { suite, optimizer } => Observed::Means(
                descents::evaluations_per_batch(suite, optimizer, environment, build)?,
            ),
            Self::Wins { .. } | Self::ProbabilityOfLowerLoss { .. } => Observed::OfSuite,
            Self::Untestable { reason } => Observed::Nothing(reason.clone()),
        })
    }
}
