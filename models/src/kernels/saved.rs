//! What a node's forward pass leaves to its backward pass.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values that are there from the forward pass until the backward pass has taken them; a second one
/// through the same graph finds nothing.
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
