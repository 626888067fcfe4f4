//! What a node's forward pass saves for its backward pass.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values that the forward pass puts here and the backward pass takes. A second backward pass
/// through the same graph finds nothing and must compute them again.
pub(crate) struct Saved<T>(Mutex<Option<T>>);

impl<T> Default for Saved<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Saved<T> {
    pub(crate) fn put(&self, values: T) {
        *self.lock() = Some(values);
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
