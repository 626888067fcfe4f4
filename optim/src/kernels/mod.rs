//! Kernels: one pass over all vectors of an update, or over the curvature pairs of L-BFGS, where
//! tensor operations would make many.
//!
//! A kernel takes variables, slices and numbers, and knows no optimizer. On the CPU it is one
//! parallel pass in place, on CUDA devices one launch. Each also has a form in tensor operations,
//! which other devices use and which the tests compare the kernels with.

mod adam;
#[cfg(feature = "cuda")]
mod cuda;
pub(crate) mod lbfgs;
mod lion;
pub(crate) mod memory;
mod norm;
pub(crate) mod number;
mod parallel;
mod prodigy;
mod rule;
mod schedule_free;
mod sgd;
mod state_vectors;
mod update;

pub(crate) use adam::{AdamCoefficients, AdamRule, ProjectedAdamRule};
pub(crate) use lion::{LionCoefficients, LionRule};
pub(crate) use norm::norm;
pub(crate) use prodigy::{ProdigyMoments, ProdigyMomentsRule, ProdigyStep, ProdigyStepRule};
pub(crate) use rule::{Rule, Updated};
pub(crate) use schedule_free::{ScheduleFreeCoefficients, ScheduleFreeRule};
pub(crate) use sgd::{SgdCoefficients, SgdRule};
pub(crate) use state_vectors::StateVectors;
pub(crate) use update::update;
