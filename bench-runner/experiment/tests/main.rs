//! The crate from the outside. One binary, since each would link everything again: to run a part, name
//! its module (`cargo test -p bench-experiment --test integration runs::`).
#![allow(clippy::unwrap_used)]

mod checkpoint;
mod least_squares;
mod plan_only;
mod runs;
mod stages;
