//! Input that a statistic refuses.

/// The error of every fallible statistic.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are too few values.
    #[error("{what}: got {found}, needs at least {needed}")]
    TooFew {
        /// Which input, for example `sample`.
        what: &'static str,
        /// How many values there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },

    /// Two inputs that belong together differ in length.
    #[error("{what}: got {found}, expected {expected} to match the other input")]
    Length {
        /// Which input.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length of the other input.
        expected: usize,
    },

    /// A value cannot be used.
    #[error("{what}: value {index} is {value}, expected {expected}")]
    Value {
        /// Which input.
        what: &'static str,
        /// The position of the value, from 0.
        index: usize,
        /// The value.
        value: f64,
        /// What would be right, in words.
        expected: &'static str,
    },

    /// A setting is out of range.
    #[error("{name} = {value} is out of range: expected {expected}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The accepted range, in words.
        expected: &'static str,
    },

    /// The input is well formed, but the statistic has no value for it.
    #[error("{what} is undefined: {reason}")]
    Undefined {
        /// The statistic.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
}

/// The result of every fallible statistic.
pub type Result<T> = std::result::Result<T, Error>;

/// Refuses fewer than `needed` values, and NaN.
pub(super) fn check_numbers(what: &'static str, values: &[f64], needed: usize) -> Result<()> {
    check(what, values, needed, |value| !value.is_nan(), "a number")
}

/// Refuses fewer than `needed` values, NaN and infinities.
pub(super) fn check_finite(what: &'static str, values: &[f64], needed: usize) -> Result<()> {
    check(
        what,
        values,
        needed,
        f64::is_finite,
        "a finite number (statistics of order and rank accept infinities)",
    )
}

/// Refuses fewer than `needed` values, and those that are not `valid`.
pub(super) fn check(
    what: &'static str,
    values: &[f64],
    needed: usize,
    valid: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Result<()> {
    if values.len() < needed {
        return Err(Error::TooFew {
            what,
            found: values.len(),
            needed,
        });
    }
    match values.iter().position(|&value| !valid(value)) {
        Some(index) => Err(Error::Value {
            what,
            index,
            value: values[index],
            expected,
        }),
        None => Ok(()),
    }
}

/// Refuses inputs of different lengths.
pub(super) fn check_length(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        what,
        found,
        expected,
    })
}

/// Refuses a probability that is not strictly between 0 and 1.
pub(super) fn check_probability(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::Setting {
        name,
        value,
        expected: "a number strictly between 0 and 1",
    })
}
