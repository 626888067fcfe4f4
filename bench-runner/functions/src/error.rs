//! What can be wrong with a request for a function.

use crate::Dimensions;

/// A request that no function answers. The caller adds file, line and key.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no function of this name.
    #[error("unknown function `{name}`; known are {}", known.join(", "))]
    UnknownFunction {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The function is not defined for this dimension.
    #[error("dimension {dimension}: {function} is defined for {defined}")]
    Dimension {
        /// The function's name.
        function: &'static str,
        /// The dimension asked for.
        dimension: usize,
        /// The dimensions that it has.
        defined: Dimensions,
    },
    /// The function has no such instance.
    #[error("instance {instance}: {function} has {}", instances(*.largest))]
    Instance {
        /// The function's name.
        function: &'static str,
        /// The instance asked for.
        instance: u64,
        /// The largest instance; the first is 1.
        largest: u64,
    },
    /// A quadratic's condition number is no number from 1 up.
    #[error("condition number {0}: a finite number of at least 1 is needed")]
    Condition(f64),
}

fn instances(largest: u64) -> String {
    match largest {
        1 => "one instance, 1".to_string(),
        _ => format!("instances 1 to {largest}"),
    }
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
