//! Range checks of hyper-parameters, each naming the setting and what it accepts.

use crate::error::{Error, Result};

/// Refuses `value` unless `accepted`.
pub(crate) fn that(
    accepted: bool,
    name: &'static str,
    value: impl std::fmt::Display,
    expected: &'static str,
) -> Result<()> {
    if accepted {
        return Ok(());
    }
    Err(Error::HyperParameter {
        name,
        value: value.to_string(),
        expected,
    })
}

/// A finite number, zero or more.
pub(crate) fn non_negative(name: &'static str, value: f64) -> Result<()> {
    let accepted = value.is_finite() && value >= 0.0;
    that(accepted, name, value, "a finite number >= 0")
}

/// A finite number above zero.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<()> {
    let accepted = value.is_finite() && value > 0.0;
    that(accepted, name, value, "a finite number > 0")
}

/// A decay rate of a running mean: at least 0 and below 1.
pub(crate) fn decay_rate(name: &'static str, value: f64) -> Result<()> {
    that((0.0..1.0).contains(&value), name, value, "0 <= value < 1")
}
