//! Fused update kernels: on the CPU one parallel pass over all vectors of an update, in place; each
//! with a plain-tensor form that other devices use and that the tests compare with.

mod adam;
pub(crate) mod history;
pub(crate) mod host;
mod norm;
mod number;
mod sgd;
mod update;

pub(crate) use adam::{AdamCoefficients, AdamRule};
pub(crate) use norm::norm;
pub(crate) use number::Element;
pub(crate) use sgd::{SgdCoefficients, SgdRule};
pub(crate) use update::{StateVectors, update};

/// Elements per chunk. Chunks are the unit of parallel work and of the gradient norm's partial
/// sums, so results do not depend on the number of threads. A chunk of all vectors fits a
/// second-level cache, so that the norm costs no second trip to memory.
const CHUNK: usize = 16 * 1024;

/// Below this many elements, waking other threads costs more than it saves.
const PARALLEL_MINIMUM: usize = 2 * CHUNK;
