//! How work on a batch of images is shared out.

use super::Float;

/// How many images one task covers. It depends on the batch alone, so that sums over images have the
/// same order on any number of threads.
pub(crate) fn images_per_task(batch: usize) -> usize {
    batch.div_ceil(16)
}

/// A buffer that the caller writes from end to end before anything reads it.
#[allow(clippy::uninit_vec)]
pub(crate) fn unwritten<T: Float>(len: usize) -> Vec<T> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: the capacity suffices, any bits are a valid float, and callers write before they read.
    unsafe { buffer.set_len(len) };
    buffer
}
