//! What tests share: a stand-in for the hub, and data files.

pub mod files;
pub mod hub;
