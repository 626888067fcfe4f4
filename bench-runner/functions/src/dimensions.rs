//! The dimensions that a function is defined for.

use std::fmt;

/// The dimensions that a function is defined for: the multiples of a step in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// The smallest.
    pub min: usize,
    /// The largest; `usize::MAX` where only memory sets a bound.
    pub max: usize,
    /// Every dimension is a multiple of it; 1 where all are.
    pub multiple_of: usize,
}

impl Dimensions {
    /// One dimension.
    pub const fn only(dimension: usize) -> Self {
        Self::range(dimension, dimension)
    }

    /// All dimensions from `min` to `max`.
    pub const fn range(min: usize, max: usize) -> Self {
        Self {
            min,
            max,
            multiple_of: 1,
        }
    }

    /// The multiples of a number, from that number to `max`.
    pub const fn multiples(of: usize, max: usize) -> Self {
        Self {
            min: of,
            max,
            multiple_of: of,
        }
    }

    /// Whether a dimension is among them.
    pub fn contains(&self, dimension: usize) -> bool {
        (self.min..=self.max).contains(&dimension) && dimension.is_multiple_of(self.multiple_of)
    }

    /// The smallest of these dimensions from `dimension` up, or else the largest of all: a valid
    /// dimension near the one asked for.
    pub fn near(&self, dimension: usize) -> usize {
        let step = self.multiple_of;
        let largest = self.max - self.max % step;
        dimension
            .max(self.min)
            .checked_next_multiple_of(step)
            .map_or(largest, |dimension| dimension.min(largest))
    }
}

impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            min,
            max,
            multiple_of,
        } = *self;
        match multiple_of {
            _ if min == max => return write!(f, "dimension {min}"),
            1 => write!(f, "dimension {min}")?,
            2 => write!(f, "even dimensions from {min}")?,
            _ => write!(
                f,
                "dimensions that are multiples of {multiple_of} from {min}"
            )?,
        }
        match max {
            usize::MAX => write!(f, " and more"),
            _ => write!(f, " to {max}"),
        }
    }
}
