//! Data: from the catalogue and the hub to the batch.

mod augment;
mod catalogue;
pub mod command;
mod decode;
mod embedded;
mod error;
mod hash;
mod hub;
mod image_set;
mod images;
mod library;
mod lock;
mod order;
mod parquet;
mod preview;
mod sparse;
mod stream;
mod tokens;
mod vocabulary;

pub use augment::Augmentation;
pub use catalogue::{Catalogue, Columns, Entry, FileEntry, Kind, Layout, Location, Parts};
pub use embedded::{digits, moby_dick};
pub use error::{Error, Result};
pub use hash::sha256;
pub use hub::{Hub, HubOptions, State};
pub use image_set::{ImageSet, Normalisation};
pub use library::Library;
pub use order::{BatchOrder, EpochOrder, OrderOptions};
pub use sparse::SparseSet;
pub use stream::{ImageStream, StreamOptions};
pub use tokens::{TokenSet, Tokens};
pub use vocabulary::{Bpe, Tokenizer, Vocabulary};

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
