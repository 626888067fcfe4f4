//! How long work tells how far it is, to whoever shows it. The library itself shows nothing.

use std::fmt::Debug;

/// What a long task counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Decoded images.
    Images,
}

/// Is told of long tasks as they begin.
pub trait Progress: Debug + Send + Sync {
    /// A task begins; it ends when the answer is dropped.
    fn start(&self, title: &str, unit: Unit, total: Option<u64>) -> Box<dyn Task>;
}

/// One long task, told as it goes on, perhaps by several threads.
pub trait Task: Send + Sync {
    /// So much more is done.
    fn advance(&self, by: u64);

    /// So much is done, of `total` where that is known by now.
    fn reached(&self, position: u64, total: Option<u64>);

    /// Something happened that a person should read, for example that a request is tried again.
    fn note(&self, text: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _title: &str, _unit: Unit, _total: Option<u64>) -> Box<dyn Task> {
        Box::new(Self)
    }
}

impl Task for Silent {
    fn advance(&self, _by: u64) {}

    fn reached(&self, _position: u64, _total: Option<u64>) {}

    fn note(&self, _text: &str) {}
}
