//! The crate from the outside. One binary, since each would link everything again: to run a part, name
//! its module (`cargo test -p models --test integration weights::`).
#![allow(clippy::unwrap_used)]

/// Seeded tensors, gradients from finite differences, and comparison with golden values.
mod common;

mod dense_language_layers;
mod dense_language_models;
mod every_model;
mod golden_dense_language;
mod golden_physics;
mod golden_vision;
mod image_layers;
mod initialisation;
mod physics;
mod summary;
mod vision;
mod weights;
