//! Buffers for results.

use super::Float;

/// A buffer that the caller writes from end to end before anything reads it.
#[allow(clippy::uninit_vec)]
pub(crate) fn unwritten<T: Float>(len: usize) -> Vec<T> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: the capacity suffices, any bits are a valid float, and callers write before they read.
    unsafe { buffer.set_len(len) };
    buffer
}
