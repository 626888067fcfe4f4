//! The measurements behind claims: which room makes which, and the problems that they share.

use candle_core::Device;
use optim::{Optimizer, Parameters};

use super::descents::{self, Descents, evaluations_exponent, inverse_targets};
use super::{Claim, Evidence, Measured, steps, suites};
use crate::problem::{Environment, FunctionProblem, Problem, QuadraticConfig};
use crate::spec::OptimizerConfig;
use crate::store::Results;
use crate::{Error, Result};

/// Seeds of a measurement of its own.
pub(super) const SEEDS: u64 = 10;

/// How optimizers are made of their settings.
pub type Build<'a> = &'a dyn Fn(&OptimizerConfig, &Parameters) -> optim::Result<Box<dyn Optimizer>>;

/// Measures the evidence for claims.
pub struct Measurer<'a> {
    /// Where problems are built.
    pub environment: &'a Environment,
    /// The results of a built-in suite, made where they are missing; or why its data are not there.
    pub results: &'a mut dyn FnMut(&str) -> Result<Result<Results, String>>,
    /// The implementations that are held to the claims: [`OptimizerConfig::build`], or others.
    pub build: Build<'a>,
    /// The confidence level of intervals, as [`Claims::level`](super::Claims::level) gives it.
    pub level: f64,
}

impl Measurer<'_> {
    /// Measures what a claim rests on.
    ///
    /// # Errors
    /// When a problem or an optimizer cannot be built, a step fails, or a suite cannot be run for another
    /// reason than missing data, which makes its claims untestable.
    pub fn measure(&mut self, claim: &Claim) -> Result<Measured> {
        let (build, level) = (self.build, self.level);
        let count = match &claim.evidence {
            Evidence::ElementsPerStep { optimizer } => steps::elements_exponent(optimizer, build)?,
            Evidence::PassesPerPair {} => steps::per_pair(build)?.0,
            Evidence::VectorsPerPair {} => steps::per_pair(build)?.1,
            Evidence::VectorsHeld { optimizer } => steps::single(optimizer, build)?.state,
            Evidence::EvaluationsPerStep { optimizer } => {
                steps::single(optimizer, build)?.evaluations
            }
            Evidence::DifferingBits { theta } => steps::differing_bits(*theta, build)?,
            Evidence::StepsOffTheFormula {} => steps::off_the_formula(build)?,
            Evidence::MisjudgedSteps { criteria } => steps::misjudged(criteria, build)?,
            Evidence::LogLinearity { conditions, noise } => {
                return Ok(descents::log_linearity(conditions, *noise, build, level)?.into());
            }
            Evidence::EvaluationsExponent {
                optimizer,
                rate_per_target,
                noise,
                condition,
                first_target,
                after_switch,
            } => {
                let descents = Descents {
                    optimizer,
                    sizes: inverse_targets(*first_target),
                    problem: &|_, seed| problem(*condition, *noise, seed),
                    rate: &|size| rate_per_target.map(|factor| factor / size),
                    error: &|problem| Ok(problem.measure()?.loss),
                    target: &f64::recip,
                    after_switch: *after_switch,
                };
                return Ok(evaluations_exponent(&descents, build, level)?.into());
            }
            Evidence::GradientExponent {
                optimizer,
                function,
                rate_per_square,
                first_target,
            } => {
                let known = function
                    .resolve()
                    .map_err(|message| Error::Problem { message })?;
                let descents = Descents {
                    optimizer,
                    sizes: inverse_targets(*first_target),
                    problem: &|_, seed| FunctionProblem::new(function, known, seed, &Device::Cpu),
                    rate: &|size| Some(rate_per_square / (size * size)),
                    error: &|problem| problem.gradient_norm(),
                    target: &f64::recip,
                    after_switch: false,
                };
                return Ok(evaluations_exponent(&descents, build, level)?.into());
            }
            Evidence::ConditionExponent {
                optimizer,
                dimension,
                conditions,
                target,
            } => {
                let descents = Descents {
                    optimizer,
                    sizes: conditions.clone(),
                    problem: &|condition, seed| {
                        let config = quadratic(*dimension, condition, 0.0);
                        FunctionProblem::quadratic(&config, seed, &Device::Cpu)
                    },
                    rate: &|_| None,
                    error: &|problem| Ok(problem.measure()?.loss),
                    target: &|_| *target,
                    after_switch: false,
                };
                return Ok(evaluations_exponent(&descents, build, level)?.into());
            }
            Evidence::EvaluationsPerBatch { suite, optimizer } => {
                let environment = self.environment;
                return Ok(descents::evaluations_per_batch(
                    suite,
                    optimizer,
                    environment,
                    build,
                    level,
                )?
                .into());
            }
            Evidence::Wins { suite, .. } | Evidence::ProbabilityOfLowerLoss { suite, .. } => {
                return match (self.results)(suite)? {
                    Ok(results) => suites::measured(&claim.evidence, &results, level),
                    Err(reason) => Ok(Measured::Nothing(reason)),
                };
            }
            Evidence::Untestable { reason } => return Ok(Measured::Nothing(reason.clone())),
        };
        Ok(Measured::Exact(count))
    }
}

pub(super) fn quadratic(dimension: usize, condition: f64, noise: f64) -> QuadraticConfig {
    QuadraticConfig {
        dimension,
        condition,
        noise,
        steps_per_epoch: 10,
    }
}

/// A quadratic of 10 variables, from the start of a seed.
pub(super) fn problem(condition: f64, noise: f64, seed: u64) -> Result<FunctionProblem> {
    FunctionProblem::quadratic(&quadratic(10, condition, noise), seed, &Device::Cpu)
}
