//! CPU kernels with their own backward, for `f32` and `f64`.
//!
//! A kernel is a [`Function`] of flat, contiguous slices; [`apply`](function::Apply::apply) makes it
//! a node of Candle's graph. Work is cut into pieces of a fixed size and partial sums are combined
//! in a fixed order, so results have the same bits whatever the number of threads. Layers use a
//! kernel where [`supported`] says so and plain tensor operations elsewhere.

mod float;
mod function;
mod parallel;

pub(crate) use float::Float;
pub(crate) use function::{Apply, Function, supported};
pub(crate) use parallel::{column_sums, for_each_row_block, map_chunks, vectorized};
