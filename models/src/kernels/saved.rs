//! What a node's forward pass saves for its backward pass.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values of some type that the forward pass puts here and the backward pass takes. A second backward pass through the
/// same graph finds nothing and must compute them again.
#[derive(Default)]
pub(crate) struct Saved(Mutex<Option<Box<dyn Any + Send>>>);

impl Saved {
    pub(crate) fn put(&self, values: impl Any + Send) {
        *self.lock() = Some(Box::new(values));
    }

    /// The values, where there are some of this type.
    pub(crate) fn take<T: Any>(&self) -> Option<T> {
        let values = self.lock().take()?.downcast().ok()?;
        Some(*values)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
