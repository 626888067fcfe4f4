//! Smaller versions of an experiment, for what a machine can do; their reports say so.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::locate::{SpecError, Table};
use crate::error::Error;

/// How much of an experiment is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// To see that everything works: about a minute.
    Tiny,
    /// For a machine without a GPU.
    Small,
    /// For such a machine and a night.
    Medium,
    /// As the experiment says.
    Full,
}

/// What ends the name of a part of an experiment.
pub(super) const PART: &str = "-part";

impl Scale {
    /// All scales with what they are for.
    pub const ALL: [(Self, &str); 4] = [
        (Self::Tiny, "To see that everything works: about a minute"),
        (Self::Small, "For a machine without a GPU"),
        (Self::Medium, "For such a machine and a night"),
        (Self::Full, "As the experiment says"),
    ];

    /// The scales that cut.
    pub(super) const CUT: [Self; 3] = [Self::Tiny, Self::Small, Self::Medium];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Full => "full",
        }
    }

    /// The name of a suite at this scale.
    pub fn name_of(self, suite: &str) -> String {
        match self {
            Self::Full => suite.to_owned(),
            smaller => format!("{suite}-{smaller}"),
        }
    }

    /// The scale that the name of a suite, or of a part of one, tells.
    pub fn of_name(name: &str) -> Self {
        let name = name.trim_end_matches(PART);
        Self::CUT
            .into_iter()
            .find(|smaller| name.ends_with(&smaller.name_of("")))
            .unwrap_or(Self::Full)
    }

    /// The suite whose name this is, at some scale, whole or in part.
    pub fn suite_of(name: &str) -> &str {
        let name = name.trim_end_matches(PART);
        Self::CUT
            .iter()
            .find_map(|smaller| name.strip_suffix(&smaller.name_of("")))
            .unwrap_or(name)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let mut scales = Self::ALL.iter().map(|(scale, _)| *scale);
        scales.find(|scale| scale.name() == name).ok_or_else(|| {
            let known: Vec<String> = Self::ALL
                .iter()
                .map(|(scale, _)| scale.to_string())
                .collect();
            Error::unknown("scale", name, known.iter())
        })
    }
}

/// What a smaller scale leaves of an experiment. Each number is a limit: what is smaller stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Seeds, the first ones.
    pub seeds: Option<usize>,
    /// Epochs of each run.
    pub epochs: Option<u64>,
    /// Evaluations of each run.
    pub budget: Option<u64>,
    /// Training samples of each classification problem, drawn at random, the same for all runs; residual
    /// points of each physics-informed network.
    pub samples: Option<usize>,
    /// The problems that stay, by label; all when empty.
    #[serde(default)]
    pub problems: Vec<String>,
    /// The optimizers that stay, by label; all when empty.
    #[serde(default)]
    pub optimizers: Vec<String>,
}

impl Cut {
    /// The cut of experiments that give none of their own.
    pub(super) fn usual(scale: Scale) -> Self {
        let (seeds, epochs, budget, samples) = match scale {
            Scale::Tiny => (2, 1, 200, 2_048),
            Scale::Small => (4, 8, 2_000, 10_000),
            Scale::Medium | Scale::Full => (4, 20, 10_000, 20_000),
        };
        Self {
            seeds: Some(seeds),
            epochs: Some(epochs),
            budget: Some(budget),
            samples: Some(samples),
            problems: Vec::new(),
            optimizers: Vec::new(),
        }
    }
}

/// Takes the tables `scale.tiny`, `scale.small` and `scale.medium`.
pub(super) fn parse(root: &mut Table<'_>) -> Result<BTreeMap<Scale, Cut>, SpecError> {
    let here = root.error_at("scale", "");
    let cuts: BTreeMap<Scale, Cut> = root.optional("scale")?.unwrap_or_default();
    let refused = |message: &str| {
        Err(SpecError {
            message: message.into(),
            ..here.clone()
        })
    };
    if cuts.contains_key(&Scale::Full) {
        return refused("`scale.full`: the full scale is the experiment itself");
    }
    let zero = cuts.values().any(|cut| {
        [cut.epochs, cut.budget].contains(&Some(0)) || [cut.seeds, cut.samples].contains(&Some(0))
    });
    if zero {
        return refused("`scale`: every limit must be at least 1");
    }
    Ok(cuts)
}
