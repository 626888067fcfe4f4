//! Evidence for claims: what is observed, and how.

use std::collections::BTreeSet;

use candle_core::Device;
use optim::Criterion;
use serde::Deserialize;

use super::build::{Build, quadratic};
use super::class::FunctionClass;
use super::cost::over_run;
use super::descents::{self, Descents};
use super::observed::Observed;
use super::steps;
use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
use crate::problem::{Environment, Problem, ProblemSettings};
use crate::settings::Invalid;
use crate::spec::{ProblemEntry, Scale, Suite, method as method_of};

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
    /// The exponent of 1/ε in the evaluations until the error of a class of functions is at most ε, f − f* or ‖∇f‖.
    EvaluationsExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// The class.
        class: FunctionClass,
        /// Gradient noise.
        noise: f64,
        /// Each ε: six or more, descending in geometric progression.
        targets: Vec<f64>,
        /// Whether for each ε that learning rate is taken which needs the fewest evaluations (the median on seeds of
        /// their own; powers of 2 times the optimizer's own); else it is the optimizer's own.
        #[serde(default)]
        tuned: bool,
        /// Evaluations that do not count: those before the switch.
        #[serde(default)]
        after_switch: bool,
    },
    /// The exponent of κ in the evaluations until f − f* ≤ ε on quadratics without noise.
    ConditionExponent {
        /// Whose evaluations.
        optimizer: OptimizerConfig,
        /// Variables.
        dimension: usize,
        /// The condition numbers κ: six or more, ascending in geometric progression.
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
    /// The counted cost of an optimizer's step as a multiple of another's, means over whole runs on a suite's
    /// problem: the largest of three ratios, which are of evaluations, of elements read and written beside them, and
    /// of elements held.
    CostRatio {
        /// Whose cost.
        optimizer: OptimizerConfig,
        /// The one that it is a multiple of.
        other: OptimizerConfig,
        /// The built-in suite.
        suite: String,
        /// The label of the problem.
        problem: String,
        /// The steps of a run, at least 1.
        steps: u64,
    },
    /// The share of a suite's problems that are no tie, on which the best trial of one method is cheaper than the
    /// best trial of another: by the median, over seeds and ten targets, of the ratio of their evaluations. Within
    /// ±10 % is a tie.
    Wins {
        /// The built-in suite.
        suite: String,
        /// The method that is claimed to win: its label without what a grid of settings added; or the whole label of a
        /// trial, for that one alone.
        method: String,
        /// The method that it is compared with.
        other: String,
        /// Parts of problems' labels, `noise=0.0` for example: only problems with one of them count; all do
        /// where none is given.
        #[serde(default)]
        within: Vec<String>,
    },
    /// The share of a suite's problems on which the best trial of a method stands in this way to the best trials of
    /// all others, each compared as for [`Wins`](Self::Wins). Only problems on which all of them ran count.
    AgainstAll {
        /// The built-in suite.
        suite: String,
        /// The method: its label without what a grid of settings added, or the whole label of a trial, for that one alone.
        method: String,
        /// The methods that it is compared with, one or more.
        others: Vec<String>,
        /// How it stands to them.
        relation: Relation,
        /// As for [`Wins`](Self::Wins).
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
    /// The mean over seeds of log₁₀ of a quantity where a run of one method ends over the least value where
    /// the runs of others with the same problem and seed end: −1 for a tenth of the best of them.
    FinalRatio {
        /// The built-in suite; `pinn-small` is the suite `pinn` at the small scale.
        suite: String,
        /// The quantity, as its column is called.
        quantity: String,
        /// The method's label.
        method: String,
        /// The others' labels.
        others: Vec<String>,
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

/// How a method stands to others on a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is cheaper than each of them by more than 10 %.
    Ahead,
    /// It is dearer than none of them by more than 10 %.
    NotBehind,
}

/// Condition numbers of a claim, at most; each costs the descents of all seeds.
const MOST_CONDITIONS: usize = 100;
/// Variables of a claim's quadratic, at most.
const MOST_VARIABLES: usize = 100_000;

impl Evidence {
    /// Whether it is held against a bound or a rate, with which runs can be consistent and no more.
    pub fn is_bound(&self) -> bool {
        matches!(
            self,
            Self::LogLinearity { .. }
                | Self::EvaluationsExponent { .. }
                | Self::ConditionExponent { .. }
        )
    }

    /// The built-in suite whose results it rests on.
    pub fn suite(&self) -> Option<&str> {
        match self {
            Self::Wins { suite, .. }
            | Self::AgainstAll { suite, .. }
            | Self::ProbabilityOfLowerLoss { suite, .. }
            | Self::FinalRatio { suite, .. } => Some(suite),
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
            Self::EvaluationsExponent { targets, .. } => {
                progression("targets", targets, "descending", |a, b| a > b)
            }
            Self::ConditionExponent { conditions, .. } => {
                progression("conditions", conditions, "ascending", |a, b| a < b)
            }
            Self::CostRatio { steps: 0, .. } => {
                Err(Invalid::value("steps", 0, "must be at least 1"))
            }
            Self::CostRatio { suite, problem, .. } => {
                entry(suite, problem).map_err(|error| Invalid::new("problem", error))?;
                Ok(())
            }
            Self::LogLinearity { conditions, .. } if conditions.is_empty() => {
                Err(Invalid::new("conditions", "must be one or more"))
            }
            Self::AgainstAll { others, .. } | Self::FinalRatio { others, .. }
                if others.is_empty() =>
            {
                Err(Invalid::new("others", "must be one or more"))
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

    /// Checks that the methods which are compared are in their suite, by the label of a method or of one of its trials.
    ///
    /// # Errors
    /// Naming the key, and the nearest name; or the suite that is not there.
    pub fn check_methods(&self) -> Result<()> {
        let (suite, method, others) = match self {
            Self::Wins {
                suite,
                method,
                other,
                ..
            }
            | Self::ProbabilityOfLowerLoss {
                suite,
                method,
                other,
                ..
            } => (suite, method, std::slice::from_ref(other)),
            Self::AgainstAll {
                suite,
                method,
                others,
                ..
            }
            | Self::FinalRatio {
                suite,
                method,
                others,
                ..
            } => (suite, method, others.as_slice()),
            _ => return Ok(()),
        };
        let experiment = Suite::find(Scale::suite_of(suite))?.experiment()?;
        let labels = experiment.optimizer_labels();
        let known: BTreeSet<String> = labels
            .into_iter()
            .flat_map(|label| [label.to_owned(), method_of(label)])
            .collect();
        let mut named = std::iter::once(method).chain(others);
        match named.find(|name| !known.contains(*name)) {
            Some(name) => Err(Error::unknown("method", name, known.iter())),
            None => Ok(()),
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
            Self::EvaluationsExponent { noise, targets, .. } => {
                targets
                    .iter()
                    .try_for_each(|&target| positive("targets", target))?;
                match noise.is_finite() && *noise >= 0.0 {
                    true => Ok(()),
                    false => Err(Invalid::value(
                        "noise",
                        *noise,
                        "a finite number of at least 0 is needed",
                    )),
                }
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
                class,
                noise,
                targets,
                tuned,
                after_switch,
            } => Descents {
                optimizer,
                sizes: targets.iter().map(|target| target.recip()).collect(),
                problem: &|_, seed| class.problem(*noise, seed),
                error: &|problem| class.error(problem),
                target: &f64::recip,
                tuned: *tuned,
                after_switch: *after_switch,
                build,
            }
            .observe()?,
            Self::ConditionExponent {
                optimizer,
                dimension,
                conditions,
                target,
            } => Descents {
                optimizer,
                sizes: conditions.clone(),
                problem: &|condition, seed| {
                    let config = quadratic(*dimension, condition, 0.0);
                    config.problem(seed, &Device::Cpu)
                },
                error: &|problem| Ok(problem.measure()?.loss),
                target: &|_| *target,
                tuned: false,
                after_switch: false,
                build,
            }
            .observe()?,
            Self::CostRatio {
                optimizer,
                other,
                suite,
                problem,
                steps,
            } => {
                let entry = entry(suite, problem)?;
                let cost = |optimizer| over_run(&entry, *steps, optimizer, environment, build);
                Observed::Ratios(cost(optimizer)?.ratios(&cost(other)?))
            }
            Self::EvaluationsPerBatch { suite, optimizer } => Observed::Means(
                descents::evaluations_per_batch(suite, optimizer, environment, build)?,
            ),
            Self::Wins { .. }
            | Self::AgainstAll { .. }
            | Self::ProbabilityOfLowerLoss { .. }
            | Self::FinalRatio { .. } => Observed::OfSuite,
            Self::Untestable { reason } => Observed::Nothing(reason.clone()),
        })
    }
}

/// A problem of a built-in suite.
fn entry(suite: &str, problem: &str) -> Result<ProblemEntry> {
    let experiment = Suite::find(suite)?.experiment()?;
    Ok(experiment.problem(problem)?.clone())
}

/// Whether there are six numbers or more, positive and in geometric progression.
fn progression(
    key: &str,
    values: &[f64],
    direction: &str,
    ordered: fn(f64, f64) -> bool,
) -> Result<(), Invalid> {
    /// Targets such as 0.7, 0.5, 0.35 are rounded.
    const ROUNDING: f64 = 0.05;
    let ratios: Vec<f64> = values.windows(2).map(|pair| pair[1] / pair[0]).collect();
    let right = values.len() >= 6
        && values.iter().all(|value| *value > 0.0 && value.is_finite())
        && values.windows(2).all(|pair| ordered(pair[0], pair[1]))
        && ratios
            .iter()
            .all(|ratio| (ratio / ratios[0] - 1.0).abs() <= ROUNDING);
    if right {
        return Ok(());
    }
    let reason =
        format!("must be six positive numbers or more, {direction} in geometric progression");
    Err(Invalid::new(key, reason))
}
