//! FUSE, FUSE-PV, their parts SGD, Adam and L-BFGS, and their rivals, for [Candle](candle_core).
//!
//! # A tour
//!
//! An optimizer moves [`Parameters`], the named variables of a model. It evaluates the function it
//! minimizes through an [`Oracle`], which counts every evaluation in a [`Meter`] and can limit
//! them. Each optimizer has a configuration whose `build` checks every setting, and makes one
//! [`Step`] per batch:
//!
//! ```
//! use candle_core::{Device, Var};
//! use optim::{
//!     AdamConfig, Criterion, FusePvConfig, Loss, Meter, Optimizer, Oracle, Parameters, Phase,
//! };
//!
//! # fn main() -> optim::Result<()> {
//! // Rosenbrock's function of x and y, from its standard start.
//! let x = Var::new(-1.2f64, &Device::Cpu)?;
//! let y = Var::new(1f64, &Device::Cpu)?;
//! let parameters = Parameters::new([("x", x.clone()), ("y", y.clone())])?;
//! let mut objective = Loss::new(&parameters, || {
//!     let valley = (y.as_tensor() - x.sqr()?)?.sqr()?;
//!     let slope = (1.0 - x.as_tensor())?.sqr()?;
//!     (valley * 100.0)? + slope
//! });
//!
//! // FUSE-PV: Adam for 20 steps, then L-BFGS.
//! let mut optimizer = FusePvConfig {
//!     criterion: Criterion::Step(20),
//!     adam: AdamConfig { learning_rate: 0.01, ..AdamConfig::default() },
//!     ..FusePvConfig::default()
//! }
//! .build(&parameters)?;
//!
//! let mut meter = Meter::with_budget(200);
//! let mut last = f64::INFINITY;
//! while meter.remaining() > 0 && last > 1e-8 {
//!     let step = optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
//!     last = step.final_loss.unwrap_or(step.loss);
//! }
//! assert!(last <= 1e-8);
//! assert_eq!(optimizer.diagnostics().switches[0].to, Phase::SecondOrder);
//! assert!(meter.counts().gradient_evaluations < 200);
//! # Ok(())
//! # }
//! ```
//!
//! For a model, the closure of [`Loss`] runs the forward pass on the current batch; for each new
//! batch make a new one. [`Optimizer::diagnostics`] tells what the criterion judged at every step.
//!
//! | method | configuration | source |
//! |---|---|---|
//! | stochastic gradient descent | [`SgdConfig`] | Robbins and Monro 1951; momentum as in PyTorch |
//! | Adam, AdamW, AMSGrad | [`AdamConfig`] | Kingma, Ba 2015; Loshchilov, Hutter 2019; Reddi et al. 2018 |
//! | Adam, then SGD | [`AdamSgdConfig`] | the FUSE authors' baseline |
//! | Adam on batches that grow | [`GrowingAdamConfig`] | Smith et al. 2018 |
//! | SWATS, Adam, then SGD | [`SwatsConfig`] | Keskar and Socher 2017 |
//! | NadamW | [`NadamwConfig`] | Dozat 2016; Dahl et al. 2023 |
//! | Lion | [`LionConfig`] | Chen et al. 2023 |
//! | Schedule-Free AdamW | [`ScheduleFreeAdamwConfig`] | Defazio et al. 2024 |
//! | Prodigy | [`ProdigyConfig`] | Mishchenko and Defazio 2023 |
//! | Muon | [`MuonConfig`] | Jordan et al. 2024 |
//! | Shampoo, grafted | [`ShampooConfig`] | Gupta et al. 2018; Anil et al. 2020 |
//! | SOAP | [`SoapConfig`] | Vyas et al. 2024 |
//! | SGD with a stochastic line search | [`SlsConfig`] | Vaswani et al. 2019 |
//! | L-BFGS | [`LbfgsConfig`] | Liu and Nocedal 1989; Nocedal and Wright 2006, chapter 7 |
//! | L-BFGS for noisy functions | [`LbfgsConfig`] with [`LineSearch::NoiseTolerant`] | Shi, Xie, Byrd and Nocedal 2022 |
//! | L-BFGS on growing batches | [`LbfgsConfig::sample_test`] | Bollapragada et al. 2018 |
//! | L-BFGS with pairs from running means | [`MomentumLbfgsConfig`] | Niu et al. 2023 |
//! | FUSE, a blend of both | [`FuseConfig`] | arXiv 2503.04204 |
//! | FUSE-PV, one after the other | [`FusePvConfig`] | arXiv 2503.04204 |
//! | FUSE by contest | [`FuseContestConfig`] | ours |
//!
//! Learning rates can follow a [`Schedule`], a setting of Adam and SGD, gradients can be [`Clipped`], and [`Optimizer::state`]
//! is everything a run needs to continue bit for bit.

#![cfg_attr(not(feature = "cuda"), forbid(unsafe_code))]
mod candle;
mod check;
mod clip;
mod error;
mod first_order;
mod fuse;
mod kernels;
mod line_search;
mod matrix;
mod objective;
mod optimizer;
mod params;
mod record;
mod schedule;
mod second_order;
pub mod state;

pub use candle::{BackwardStep, Build, running_statistics};
pub use clip::{Clip, Clipped};
pub use error::{Error, Result};
pub use first_order::{
    Adam, AdamConfig, AdamSgd, AdamSgdConfig, Elementwise, EpsilonPlacement, GrowingAdam,
    GrowingAdamConfig, Lion, LionConfig, LookAhead, Nadamw, NadamwConfig, ParameterGroup, Prodigy,
    ProdigyConfig, ScheduleFreeAdamw, ScheduleFreeAdamwConfig, Sgd, SgdConfig, Sls, SlsConfig,
    StepReset, Swats, SwatsConfig, SwitchAt, WeightDecay,
};
pub use fuse::{
    Challenge, Criterion, Early, Fuse, FuseConfig, FuseContest, FuseContestConfig, FusePv,
    FusePvConfig, Handover, Policy, Theta, WarmUp,
};
pub use line_search::LineSearch;
pub use matrix::{
    Matrixwise, Momentum, Muon, MuonConfig, RateScale, Shampoo, ShampooConfig, Soap, SoapConfig,
};
pub use objective::{Counts, Loss, Meter, Objective, Oracle};
pub use optimizer::Optimizer;
pub use params::{Gradient, Parameters};
pub use record::{
    Counters, CriterionRecord, Diagnostics, PairCounts, Phase, Step, StopReason, Switch,
    VectorPasses,
};
pub use schedule::{Length, Schedule, Scheduled};
pub use second_order::{
    CurvatureGuard, EvaluationLimit, HistoryPrecision, InitialScaling, Lbfgs, LbfgsConfig,
    LbfgsCounts, MomentumLbfgs, MomentumLbfgsConfig, Noise, PairSource, Tolerances,
};

/// Runs the program of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
