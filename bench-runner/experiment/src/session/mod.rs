//! The one entry to running experiments: whoever has a [`Session`] gives options, data, and somebody to
//! tell what happens, and gets results.

mod event;
mod options;
mod prepared;
mod share;
mod stage;
mod work;

pub use event::{Event, Observer};
pub use options::Options;
pub use prepared::{Made, Sweep, collected};
pub use share::{Share, share};
pub use stage::{Stage, in_stages};
pub use work::Session;
