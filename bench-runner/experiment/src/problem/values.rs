//! The numbers of a parameter as a slice.

use candle_core::{Storage, Tensor, WithDType};

/// What `read` makes of a contiguous vector's numbers. They are copied only from a device's memory.
///
/// # Errors
/// When the numbers have another type than `T`, or the device refuses.
pub(super) fn with_values<T: WithDType, R>(
    vector: &Tensor,
    read: impl FnOnce(&[T]) -> R,
) -> candle_core::Result<R> {
    let (storage, layout) = vector.storage_and_layout();
    if let (Storage::Cpu(numbers), Some((start, end))) = (&*storage, layout.contiguous_offsets()) {
        return Ok(read(&numbers.as_slice::<T>()?[start..end]));
    }
    drop(storage);
    Ok(read(&vector.to_vec1::<T>()?))
}
