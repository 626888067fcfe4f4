//! The built-in suites.
//!
//! To add one: write its file in `bench-runner/suites/`, and add a line to [`SUITES`].

use std::path::PathBuf;

use super::{Experiment, SpecError};

/// An experiment file that is built in.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// The name on the command line.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All built-in suites.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "quick",
        text: include_str!("../../suites/quick.toml"),
    },
    Suite {
        name: "functions",
        text: include_str!("../../suites/functions.toml"),
    },
    Suite {
        name: "criteria",
        text: include_str!("../../suites/criteria.toml"),
    },
    Suite {
        name: "noise",
        text: include_str!("../../suites/noise.toml"),
    },
    Suite {
        name: "language",
        text: include_str!("../../suites/language.toml"),
    },
    Suite {
        name: "as-shipped",
        text: include_str!("../../suites/as-shipped.toml"),
    },
    Suite {
        name: "paper",
        text: include_str!("../../suites/paper.toml"),
    },
    Suite {
        name: "corrected",
        text: include_str!("../../suites/corrected.toml"),
    },
    Suite {
        name: "faults",
        text: include_str!("../../suites/faults.toml"),
    },
];

impl Suite {
    /// The suite with a name.
    ///
    /// # Errors
    /// [`crate::Error::UnknownName`] with the nearest name.
    pub fn find(name: &str) -> crate::Result<Self> {
        SUITES
            .iter()
            .find(|suite| suite.name == name)
            .copied()
            .ok_or_else(|| crate::Error::UnknownName {
                what: "suite",
                name: name.into(),
                known: SUITES.iter().map(|suite| suite.name.into()).collect(),
            })
    }

    /// The suite, parsed.
    ///
    /// # Errors
    /// When its text is not valid.
    pub fn experiment(&self) -> Result<Experiment, SpecError> {
        Experiment::parse(self.text, &PathBuf::from(format!("<suite {}>", self.name)))
    }
}
