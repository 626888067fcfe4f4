//! How work on a batch of images is shared out.

/// How many images one task covers. It depends on the batch alone, so that sums over images have the
/// same order on any number of threads.
pub(crate) fn images_per_task(batch: usize) -> usize {
    batch.div_ceil(16)
}
