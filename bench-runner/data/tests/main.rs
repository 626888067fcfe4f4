//! The data crate from the outside. One binary, since each would link everything again: to run a part,
//! name its module (`cargo test -p bench-data --test integration hub::`).
#![allow(clippy::unwrap_used)]

/// A stand-in for the hub, and data files.
mod support;

mod embedded;
mod files;
mod hub;
mod mutation;
mod odd;
mod processes;
mod text;
