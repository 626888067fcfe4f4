//! Smaller versions of an experiment, for what a machine can do; their reports say so.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::locate::{SpecError, Table};
use super::{Experiment, OptimizerConfig};
use crate::problem::ProblemConfig;

/// How much of an experiment is run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// To see that everything works: about a minute.
    Tiny,
    /// For a machine without a GPU.
    Small,
    /// As the experiment says.
    Full,
}

impl Scale {
    /// The name of a suite at this scale.
    pub(crate) fn name_of(self, suite: &str) -> String {
        match self {
            Self::Full => suite.to_owned(),
            smaller => format!("{suite}-{smaller}"),
        }
    }

    /// The suite whose name at some scale this is.
    pub(crate) fn suite_of(name: &str) -> &str {
        [Self::Tiny, Self::Small]
            .iter()
            .find_map(|smaller| name.strip_suffix(&smaller.name_of("")))
            .unwrap_or(name)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Full => "full",
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
    /// Training samples of each classification problem, drawn at random, the same for all runs.
    pub samples: Option<usize>,
    /// The problems that stay, by label; all when empty.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl Cut {
    /// The cut of experiments that give none of their own.
    fn usual(scale: Scale) -> Self {
        let (seeds, epochs, budget, samples) = match scale {
            Scale::Tiny => (2, 1, 200, 2_048),
            _ => (4, 8, 2_000, 10_000),
        };
        Self {
            seeds: Some(seeds),
            epochs: Some(epochs),
            budget: Some(budget),
            samples: Some(samples),
            problems: Vec::new(),
        }
    }
}

/// Takes the tables `scale.tiny` and `scale.small`.
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

impl Experiment {
    /// The experiment at a smaller scale: its name and its caveats say what was cut.
    #[must_use]
    pub fn scaled(mut self, scale: Scale) -> Self {
        if scale == Scale::Full {
            return self;
        }
        let cut = self.scales.remove(&scale);
        let cut = cut.unwrap_or_else(|| Cut::usual(scale));
        // The others may name problems that go.
        self.scales.clear();
        let mut changes = Vec::new();
        let mut note = |what: &str, from: &dyn fmt::Display, to: &dyn fmt::Display| {
            let change = format!("{what} {from} → {to}");
            if !changes.contains(&change) {
                changes.push(change);
            }
        };
        if let Some(seeds) = cut.seeds.filter(|seeds| *seeds < self.seeds.len()) {
            note("seeds", &self.seeds.len(), &seeds);
            self.seeds.truncate(seeds);
        }
        if !cut.problems.is_empty() && cut.problems.len() < self.problems.len() {
            note("problems", &self.problems.len(), &cut.problems.len());
            self.problems
                .retain(|problem| cut.problems.contains(&problem.label));
        }
        let mut share = 1.0f64;
        for problem in &mut self.problems {
            if let (Some(most), Some(epochs)) = (cut.epochs, problem.epochs)
                && most < epochs
            {
                note("epochs", &epochs, &most);
                problem.epochs = Some(most);
                share = share.min(most as f64 / epochs as f64);
            }
            if let Some(most) = cut.budget.filter(|most| *most < problem.budget) {
                // A run that is limited by epochs is cut by epochs alone.
                if problem.epochs.is_none() {
                    note("evaluations", &problem.budget, &most);
                    problem.budget = most;
                }
            }
            problem.points = problem.points.min(problem.budget);
            if let (Some(most), ProblemConfig::Classification(config)) =
                (cut.samples, &mut problem.config)
                && config.samples.is_none_or(|samples| most < samples)
            {
                let from = config
                    .samples
                    .map_or("all".into(), |samples| samples.to_string());
                note("training samples", &from, &most);
                config.samples = Some(most);
            }
        }
        for entry in &mut self.optimizers {
            // The authors switch from Adam to SGD at half the epochs, however many there are.
            if let OptimizerConfig::AdamSgd(config) = &mut entry.config
                && let optim::SwitchAt::Epoch(epoch) = &mut config.switch_at
            {
                *epoch = (*epoch as f64 * share).round() as u64;
            }
        }
        self.optimizers.retain(|entry| {
            let mut problems = self.problems.iter();
            problems.any(|problem| entry.applies_to(&problem.label))
        });
        self.name = scale.name_of(&self.name);
        let caveat = if changes.is_empty() {
            format!("At the {scale} scale, which cuts nothing.")
        } else {
            format!("Cut to the {scale} scale: {}.", changes.join(", "))
        };
        self.caveats.insert(0, caveat);
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::spec::SUITES;

    #[test]
    fn every_suite_at_every_scale_is_a_valid_experiment_that_says_so() {
        for suite in SUITES {
            for scale in [Scale::Tiny, Scale::Small, Scale::Full] {
                let scaled = suite.experiment().unwrap().scaled(scale);
                let text = toml::to_string(&scaled).unwrap();
                let read = Experiment::parse(&text, Path::new("scaled.toml"));
                let read = read.unwrap_or_else(|error| panic!("{} {scale}: {error}", suite.name));
                assert_eq!(read, scaled, "{} {scale}", suite.name);
                let says_so = scaled
                    .caveats
                    .first()
                    .is_some_and(|c| c.contains(&format!("{scale} scale")));
                assert_eq!(says_so, scale != Scale::Full, "{} {scale}", suite.name);
                assert_eq!(Scale::suite_of(&scaled.name), suite.name);
            }
        }
    }
}
