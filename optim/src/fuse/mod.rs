//! FUSE: Adam and L-BFGS together, blended (FUSE) or one after the other (FUSE-PV).
//!
//! Source: Jiang, Hasan, Balu, Waite, Huang & Sarkar, "FUSE: First-Order and Second-Order Unified
//! SynthEsis in Stochastic Optimization" (arXiv 2503.04204).

mod blend;
mod confirmation;
mod contest;
mod criterion;
mod noise;
mod pv;
mod statistics;

pub use blend::{Fuse, FuseConfig, Theta};
pub use contest::{Challenge, Early, FuseContest, FuseContestConfig};
pub use criterion::Criterion;
pub use pv::{FusePv, FusePvConfig, Handover, Policy, WarmUp};
