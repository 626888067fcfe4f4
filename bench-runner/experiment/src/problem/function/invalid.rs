//! Which key of an experiment file is at fault where a function cannot be made.

use bench_data::suggestion::suggestion;
use bench_functions::Error as FunctionError;

use crate::settings::Invalid;

/// Names the key at fault.
pub(super) fn invalid(error: FunctionError) -> Invalid {
    match error {
        FunctionError::UnknownFunction { name, known } => {
            let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
            let reason = format!("unknown{}", suggestion(&known, &name));
            Invalid::value("function", format!("\"{name}\""), reason)
        }
        FunctionError::Dimension {
            function,
            dimension,
            defined,
        } => {
            let reason = format!("{function} is defined for {defined}");
            Invalid::value("dimension", dimension, reason)
        }
        FunctionError::Instance {
            function,
            instance,
            largest,
        } => {
            let reason = format!("{function} has the instances 1 to {largest}");
            Invalid::value("instance", instance, reason)
        }
        FunctionError::Condition(condition) => {
            let reason = "a finite number of at least 1 is needed";
            Invalid::value("condition", condition, reason)
        }
    }
}
