//! From results to numbers: what the runs of experiments say, before anything is drawn. Nothing here trains,
//! and nothing downstream sums runs up by itself.

pub mod accuracy;
pub mod claims;
pub mod comparison;
pub mod counted;
pub mod curve;
pub mod decision;
pub mod effects;
pub mod equivalence;
mod error;
pub mod ladder;
pub mod leaderboard;
pub mod list_ends;
pub mod overall;
pub mod pairs;
pub mod profile;
mod quantity;
pub mod ranking;
pub mod reference;
pub mod replayed;
pub mod sensitivity;
pub mod stability;
pub mod summary;
pub mod switching;

pub use error::{Error, Result};
pub use quantity::Quantity;
