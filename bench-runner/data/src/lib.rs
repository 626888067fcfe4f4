//! Data: from the catalogue and the hub to the batch.

pub mod atomic;
mod augment;
mod catalogue;
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
mod progress;
mod sparse;
mod splits;
mod stream;
pub mod suggestion;
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
pub use progress::{Progress, Silent, Task, Unit};
pub use sparse::SparseSet;
pub use splits::Splits;
pub use stream::{ImageStream, StreamOptions};
pub use tokens::{TokenSet, Tokens};
pub use vocabulary::{Bpe, Tokenizer, Vocabulary};
