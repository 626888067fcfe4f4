//! What tests share: a stand-in for the hub, data files, and mutations of them.

pub mod files;
pub mod hub;
pub mod mutate;
