//! The field's standard test functions for optimizers: values and gradients in f64, standard
//! starts, known minima, citations. Pure arithmetic: no tensors, no optimizers, no files.
//!
//! | room | what is in it |
//! |---|---|
//! | [`classic`] | eight functions that every text shows; quadratics with a chosen spectrum |
//! | [`mgh`] | the 18 unconstrained problems of Moré, Garbow and Hillstrom (1981) |
//! | [`bbob`] | the 24 noiseless functions of COCO, with their instances |
//! | [`scalable`] | families from 2 to 10,000 dimensions |
//!
//! A [`TestFunction`] says what a function is. [`TestFunction::build`] makes a [`Function`] of one
//! dimension, which has the start and the minima and is evaluated without allocating.
//!
//! ```
//! use bench_functions::{find, mgh};
//!
//! let wood = find(mgh::FUNCTIONS, "wood")?;
//! let mut function = wood.build(4, 1)?;
//! let x = function.start.clone();
//! let mut gradient = vec![0.0; 4];
//! assert_eq!(function.evaluate(&x, &mut gradient), 19192.0);
//! assert_eq!(function.minimum(), Some(0.0));
//! # Ok::<(), bench_functions::Error>(())
//! ```
//!
//! # How to add a function
//!
//! 1. Write one file in its room, `scalable/levy.rs` say: a constant [`TestFunction`] with name,
//!    title, citation and dimensions, and a closure that builds the [`Function`]: its start, its
//!    value with gradient, its minima. The formula stands in the constant's comment.
//! 2. Add the file and the constant to the room's list, `FUNCTIONS` in `scalable/mod.rs`.
//! 3. Add its values by somebody else's code to `tests/golden/`: one line in the generator there.
//!
//! The tests then check its gradient against finite differences, its minima, its dimensions and its
//! golden values; a function without golden values must be named with the reason in
//! `tests/golden.rs`.
//!
//! Sums over many coordinates go through the room `lanes`, so that the compiler uses vectors.

pub mod bbob;
pub mod classic;
mod dimensions;
mod error;
mod function;
pub mod lanes;
pub mod mgh;
pub mod scalable;
mod squares;

pub use dimensions::Dimensions;
pub use error::{Error, Result};
use function::numbers;
pub use function::{Function, Group, LARGEST, Minimum, TestFunction, find};
