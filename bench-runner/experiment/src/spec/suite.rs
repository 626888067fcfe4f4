//! The built-in suites.
//!
//! To add one: write its file in `bench-runner/experiment/suites/`, and add a line to [`SUITES`].

use std::path::PathBuf;

use bench_data::Catalogue;

use super::experiment::Experiment;
use crate::error::{Error, Result};

/// An experiment file that is built in.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// The name on the command line.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The suite whose file has this name.
macro_rules! suite {
    ($name:literal) => {
        Suite {
            name: $name,
            text: include_str!(concat!("../../suites/", $name, ".toml")),
        }
    };
}

/// All built-in suites.
pub const SUITES: &[Suite] = &[
    suite!("quick"),
    suite!("functions"),
    suite!("criteria"),
    suite!("noise"),
    suite!("map"),
    suite!("batch"),
    suite!("contest"),
    suite!("auto"),
    suite!("held-out"),
    suite!("held-out-falling"),
    suite!("smooth"),
    suite!("moby-dick"),
    suite!("language"),
    suite!("vision"),
    suite!("pinn"),
    suite!("rivals"),
    suite!("scale"),
    suite!("sensitivity"),
    suite!("as-shipped"),
    suite!("paper"),
    suite!("corrected"),
    suite!("faults"),
];

impl Suite {
    /// The suite with a name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn find(name: &str) -> Result<Self> {
        SUITES
            .iter()
            .find(|suite| suite.name == name)
            .copied()
            .ok_or_else(|| {
                let known: Vec<String> = SUITES.iter().map(|suite| suite.name.into()).collect();
                Error::unknown("suite", name, known.iter())
            })
    }

    /// The suite, parsed, with the sizes of networks that it leaves out taken from the built-in datasets.
    ///
    /// # Errors
    /// When its text is not valid.
    pub fn experiment(&self) -> Result<Experiment> {
        let name = PathBuf::from(format!("<suite {}>", self.name));
        Ok(Experiment::parse(self.text, &name)?.with_sizes_of_data(&Catalogue::built_in()?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_placebo_stands_in_every_tuned_comparison() {
        for suite in SUITES {
            let experiment = suite.experiment().unwrap();
            for problem in &experiment.problems {
                let entries: Vec<_> = experiment.optimizers_for(&problem.label).collect();
                let has_twin = entries.iter().any(|one| {
                    let mut others = entries.iter();
                    others.any(|it| it.stream != one.stream && it.trials == one.trials)
                });
                assert!(
                    experiment.tuning.is_none() || has_twin,
                    "{}: {}",
                    suite.name,
                    problem.label
                );
            }
        }
    }
}
