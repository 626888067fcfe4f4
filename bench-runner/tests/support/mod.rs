//! What tests share: a stand-in for the hub.

pub mod hub;
