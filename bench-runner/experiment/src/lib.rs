//! Experiments: from an experiment file to the records of its runs. What is minimized and by what is open to
//! other crates ([`registry`]); whoever runs experiments holds a [`session::Session`].

pub mod error;
pub mod import;
pub mod memory;
pub mod optimizer;
pub mod probe;
pub mod problem;
pub mod registry;
mod replay;
pub mod run;
pub mod session;
pub mod settings;
pub mod spec;
pub mod store;
pub mod sweep;

pub use error::{Error, Result};
pub use replay::Recorded;
pub use session::Session;
