//! How steps see a function.

use crate::settings::Invalid;

/// How steps see a function.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// The gradient noise σ: a step sees f(x) + ξᵀx with E‖ξ‖² = σ².
    pub(super) noise: f64,
    /// Steps that count as an epoch.
    pub(super) per_epoch: u64,
}

impl Steps {
    /// Steps in an epoch where the settings do not say.
    pub(super) const PER_EPOCH: u64 = 10;

    /// Whether the settings `noise` and `steps_per_epoch` can be used.
    pub(super) fn check(self) -> Result<(), Invalid> {
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            let reason = "a finite number of at least 0 is needed";
            return Err(Invalid::value("noise", self.noise, reason));
        }
        if self.per_epoch == 0 {
            return Err(Invalid::value("steps_per_epoch", 0, "at least 1 is needed"));
        }
        Ok(())
    }

    /// What a title says of the noise.
    pub(super) fn title(self) -> String {
        if self.noise == 0.0 {
            String::new()
        } else {
            format!(", gradient noise σ = {}", self.noise)
        }
    }
}

/// `steps_per_epoch` where it is not given.
pub(super) fn per_epoch() -> u64 {
    Steps::PER_EPOCH
}

/// The most variables of a function: what a run holds of them fits a machine.
const MOST_VARIABLES: usize = 10_000_000;

/// Whether a dimension is not too large to be held.
pub(super) fn check_size(dimension: usize) -> Result<(), Invalid> {
    if dimension > MOST_VARIABLES {
        let reason = format!("at most {MOST_VARIABLES} variables are possible");
        return Err(Invalid::value("dimension", dimension, reason));
    }
    Ok(())
}
