//! Work in chunks of fixed length, shared out among threads and run in the CPU's vector
//! instructions.

use std::sync::LazyLock;

use pulp::Arch;
use rayon::prelude::*;

/// Elements of one chunk of an update: the unit of parallel work and of partial sums, so that
/// results do not depend on the number of threads.
pub(super) const CHUNK: usize = 16 * 1024;

/// Below this many elements, waking other threads costs more than it saves.
pub(super) const PARALLEL_MINIMUM: usize = 2 * CHUNK;

/// For tests: where this variable is set, kernels run without vector instructions beyond the
/// target's baseline.
const PORTABLE: &str = "OPTIM_PORTABLE_KERNELS";

/// Calls `f`, compiled for the widest vectors of this CPU. Mark `f` as `#[inline(always)]`, else it
/// stays compiled for the target's baseline.
///
/// Only the width of the vectors differs: nothing is reassociated, and multiplication and addition
/// are not fused. So the results have the same bits on every CPU.
#[inline(always)]
pub(super) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    static ARCH: LazyLock<Arch> = LazyLock::new(|| match std::env::var_os(PORTABLE) {
        Some(_) => Arch::Scalar,
        None => Arch::new(),
    });
    ARCH.dispatch(f)
}

/// Applies `f` to each chunk, in parallel if there are several. The results are in the chunks'
/// order.
pub(super) fn map_chunks<I: Send, T: Send>(
    chunks: Vec<I>,
    f: impl Fn(I) -> T + Sync + Send,
) -> Vec<T> {
    if chunks.len() == 1 {
        return chunks.into_iter().map(f).collect();
    }
    chunks.into_par_iter().map(f).collect()
}
