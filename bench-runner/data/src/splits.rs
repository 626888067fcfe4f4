//! The parts of a dataset.

/// The parts of a dataset: one to train on, one to report, and perhaps one to choose settings by.
#[derive(Debug, Clone, PartialEq)]
pub struct Splits<T> {
    /// The part that optimizers see.
    pub train: T,
    /// The part that settings are chosen by; `None` where the dataset defines none.
    pub validation: Option<T>,
    /// The part that results are reported on.
    pub test: T,
}
