//! The catalogue's entries, read and checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bench_analysis::Quantity;
use bench_analysis::reference::{Comparison, Tolerances, Unstable};
use bench_data::suggestion::suggestion;
use bench_experiment::settings::Invalid;
use bench_experiment::spec::{Experiment, Scale, Selection, Suite};
use bench_experiment::store::Results;
use serde::Deserialize;

use crate::error::{Error, Result};

/// All figures and tables, and how the reference reports are checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureCatalogue {
    /// The figures and tables.
    #[serde(rename = "figure")]
    pub entries: Vec<FigureEntry>,
    /// The reference reports.
    pub reference: Reference,
}

/// The committed reports, and how far a recomputed one may be from them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The suites that have one; `pinn-small` is the suite `pinn` at the small scale.
    pub suites: Vec<String>,
    /// The suites and experiment files of which the summary over all problems is kept, and no results.
    #[serde(default)]
    pub summaries: Vec<String>,
    /// Parts of suites that have one.
    #[serde(default, rename = "part")]
    pub parts: Vec<Part>,
    /// Experiment files that have one.
    #[serde(default, rename = "file")]
    pub files: Vec<OfFile>,
    /// Per column of `results.parquet`.
    pub tolerance: Tolerances,
    /// What is compared by its cost only.
    #[serde(default)]
    pub unstable: Vec<Unstable>,
}

/// A part of a suite of which there is a committed report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The suite.
    pub suite: String,
    /// Patterns for its problems.
    pub problems: Vec<String>,
    /// How many of its seeds, from the first on; all by default.
    pub seeds: Option<usize>,
}

impl Part {
    /// What is run.
    ///
    /// # Errors
    /// When there is no such suite or problem.
    pub fn experiment(&self) -> bench_experiment::Result<Experiment> {
        let mut suite = Suite::find(&self.suite)?.experiment()?;
        suite.seeds.truncate(self.seeds.unwrap_or(usize::MAX));
        suite.selected(&Selection::new(&self.problems, &[])?)
    }
}

/// An experiment file of which there is a committed report: its data are not in the built-in catalogue, so that it is
/// no suite.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfFile {
    /// The name of the report: the experiment's at this scale.
    pub name: String,
    /// The file, from the folder of the project.
    pub path: PathBuf,
}

impl OfFile {
    /// What is run: the experiment at the scale that the name tells.
    ///
    /// # Errors
    /// When the file cannot be read, is not valid or its experiment has another name.
    fn experiment(&self) -> bench_experiment::Result<Experiment> {
        let experiment = Experiment::read(&self.path)?.scaled(Scale::of_name(&self.name));
        match experiment.name == self.name {
            true => Ok(experiment),
            false => {
                let reason = format!("{} has `{}`", self.path.display(), experiment.name);
                Err(Invalid::value("reference.file.name", &self.name, reason).into())
            }
        }
    }
}

impl Reference {
    /// The experiment of a committed report: a part of a suite, an experiment file, or a suite at the scale that the name
    /// tells.
    ///
    /// # Errors
    /// When there is no such suite, part or file.
    pub fn experiment(&self, name: &str) -> bench_experiment::Result<Experiment> {
        if let Some(file) = self.files.iter().find(|file| file.name == name) {
            return file.experiment();
        }
        for part in &self.parts {
            let experiment = part.experiment()?;
            if experiment.name == name {
                return Ok(experiment);
            }
        }
        let suite = Suite::find(Scale::suite_of(name))?;
        Ok(suite.experiment()?.scaled(Scale::of_name(name)))
    }

    /// The names of the committed reports whose results are kept: those of suites, and those of experiment files.
    pub fn with_results(&self) -> impl Iterator<Item = &String> {
        let files = self.files.iter().map(|file| &file.name);
        self.suites
            .iter()
            .chain(files.filter(|name| !self.summaries.contains(name)))
    }

    /// Compares recomputed results with committed ones.
    pub fn compare(&self, committed: &Results, recomputed: &Results) -> Comparison {
        self.tolerance
            .compare(committed, recomputed, &self.unstable)
    }
}

/// One figure or table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureEntry {
    /// Its name on the command line, and the stem of its files.
    pub id: String,
    /// What it shows.
    pub about: String,
    /// The suites whose results, or whose problems and optimizers, it needs.
    #[serde(default)]
    pub suites: Vec<String>,
    /// How it is drawn.
    pub draw: Drawing,
}

/// How an entry is drawn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Drawing {
    /// A chart for each problem on which all metrics are measured, a panel for each metric.
    Curves {
        /// The metrics.
        metrics: Vec<Quantity>,
        /// The horizontal axis.
        axis: Quantity,
        /// The problems; all when empty.
        #[serde(default)]
        problems: Vec<String>,
        /// The optimizers; all when empty.
        #[serde(default)]
        optimizers: Vec<String>,
    },
    /// One chart, a panel for each problem.
    Panels {
        /// The metric.
        metric: Quantity,
        /// The horizontal axis.
        axis: Quantity,
        /// The problems; all when empty.
        #[serde(default)]
        problems: Vec<String>,
        /// The optimizers; all when empty.
        #[serde(default)]
        optimizers: Vec<String>,
    },
    /// A chart for each problem that all suites have, a panel for each suite.
    Arms {
        /// The metric.
        metric: Quantity,
        /// The horizontal axis.
        axis: Quantity,
        /// The optimizers of all suites together; all when empty.
        #[serde(default)]
        optimizers: Vec<String>,
    },
    /// For each problem with a target the share of runs that have reached it.
    ToTarget {},
    /// The same over all problems together.
    RunTimeDistribution {},
    /// The performance profile over all problems with a target.
    PerformanceProfile {},
    /// The rank of a method over noise and condition number.
    RankingMap {
        /// The method, a label without the parts that a grid added.
        method: String,
    },
    /// The ranks of all optimizers under each fault.
    FaultRanks {},
    /// The effect of each of S1 to S16 on one method against another.
    FaultEffects {
        /// The method.
        method: String,
        /// Whom it is compared with.
        rival: String,
    },
    /// For each problem the final loss against the learning rate.
    Sensitivity {},
    /// The counted cost of one step.
    StepCost {
        /// Against what.
        against: CostAxis,
    },
    /// Paths over the level lines of test functions of two variables, a chart each.
    Paths {
        /// The problems.
        problems: Vec<String>,
        /// The optimizers.
        optimizers: Vec<String>,
    },
    /// The loss around a trained network.
    Landscape {
        /// The problem.
        problem: String,
        /// The optimizer that trains it.
        optimizer: String,
        /// How far the plane reaches, in units of the network's own weights.
        radius: f64,
        /// Intervals on each side of the grid.
        steps: usize,
    },
    /// The solution of a differential equation beside what networks come to.
    Solutions {
        /// The problem.
        problem: String,
        /// The optimizers that train them.
        optimizers: Vec<String>,
        /// Intervals on each side of the grid.
        steps: usize,
    },
    /// Test accuracies: mean and variance over seeds, and intervals.
    AccuracyTable {},
    /// Evaluations, passes and memory of a step, counted, beside known rates.
    ComplexityTable {},
}

/// What the cost of a step is drawn against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostAxis {
    /// The number of parameters.
    Dimension,
    /// The pairs that L-BFGS holds.
    History,
}

/// What an entry must be given to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The results of its suites.
    Results,
    /// A computation of its own: a path, a landscape, counted steps.
    Probe,
}

const BUILT_IN: &str = include_str!("../../../../reports/figures.toml");

impl FigureCatalogue {
    /// The built-in catalogue.
    ///
    /// # Errors
    /// When it is not valid.
    pub fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN, Path::new("reports/figures.toml"))
    }

    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        Self::parse(&text, path)
    }

    /// Parses and checks the text of a catalogue; `file` is for messages.
    ///
    /// # Errors
    /// With line and key: unknown keys, kinds, suites, problems and optimizers, ids that are used twice
    /// and settings out of range.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let wrong = |entry: String, reason: String| Error::Catalogue {
            path: file.into(),
            entry,
            reason,
        };
        let catalogue: Self = toml::from_str(text).map_err(|source| Error::Syntax {
            path: file.into(),
            source: Box::new(source),
        })?;
        let mut ids = BTreeSet::new();
        for entry in &catalogue.entries {
            let named = |reason| wrong(format!("figure `{}`", entry.id), reason);
            if !ids.insert(&entry.id) {
                return Err(named("its `id` is used twice".into()));
            }
            entry
                .check()
                .map_err(|invalid| named(invalid.to_string()))?;
        }
        let Reference {
            suites, summaries, ..
        } = &catalogue.reference;
        // Experiment files are read when they are needed: they are in the project only.
        let is_file = |name: &&String| {
            catalogue
                .reference
                .files
                .iter()
                .any(|file| file.name == **name)
        };
        let suites = suites.iter().chain(summaries);
        for suite in suites.filter(|name| !is_file(name)) {
            catalogue
                .reference
                .experiment(suite)
                .map_err(|error| wrong("reference".into(), error.to_string()))?;
        }
        let mut reports = BTreeSet::new();
        for name in catalogue.reference.with_results().chain(summaries) {
            if !reports.insert(name) {
                let reason = format!("`{name}` is there twice");
                return Err(wrong("reference".into(), reason));
            }
        }
        Ok(catalogue)
    }

    /// The entries with these ids, in the catalogue's order; all when `ids` is empty.
    ///
    /// # Errors
    /// [`Error::UnknownFigure`] with the nearest id.
    pub fn select(&self, ids: &[String]) -> Result<Vec<&FigureEntry>> {
        let known = || self.entries.iter().map(|entry| entry.id.clone());
        for id in ids {
            if !known().any(|known| known == *id) {
                return Err(Error::UnknownFigure {
                    name: id.clone(),
                    known: known().collect(),
                });
            }
        }
        let wanted = |entry: &&FigureEntry| ids.is_empty() || ids.contains(&entry.id);
        Ok(self.entries.iter().filter(wanted).collect())
    }
}

impl FigureEntry {
    /// What it must be given.
    pub fn need(&self) -> Need {
        match self.draw {
            Drawing::StepCost { .. }
            | Drawing::Paths { .. }
            | Drawing::Landscape { .. }
            | Drawing::Solutions { .. }
            | Drawing::ComplexityTable {} => Need::Probe,
            _ => Need::Results,
        }
    }

    /// Whether what is drawn was reached, and what it is drawn against is a cost.
    fn check_quantities(&self) -> Result<(), Invalid> {
        let (metrics, axis): (&[Quantity], &Quantity) = match &self.draw {
            Drawing::Curves { metrics, axis, .. } => (metrics, axis),
            Drawing::Panels { metric, axis, .. } | Drawing::Arms { metric, axis, .. } => {
                (std::slice::from_ref(metric), axis)
            }
            _ => return Ok(()),
        };
        let names = |all: &[Quantity]| {
            let names: Vec<&str> = all.iter().map(|quantity| quantity.name()).collect();
            format!("known are {}", names.join(", "))
        };
        if !Quantity::AXES.contains(axis) {
            let reason = names(&Quantity::AXES);
            return Err(Invalid::value("axis", axis.name(), reason));
        }
        match metrics.iter().find(|metric| metric.is_cost()) {
            Some(cost) => Err(Invalid::value(
                "metrics",
                cost.name(),
                names(&Quantity::REACHED),
            )),
            None => Ok(()),
        }
    }

    /// Whether everything that it names exists.
    fn check(&self) -> Result<(), Invalid> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || !self.id.chars().all(allowed) {
            let reason = "use small letters, digits and `-`; it names the files";
            return Err(Invalid::new("id", reason));
        }
        let suites: Vec<Experiment> = self
            .suites
            .iter()
            .map(|name| Suite::find(name)?.experiment())
            .collect::<bench_experiment::Result<_>>()
            .map_err(|error| Invalid::new("suites", error))?;
        let wanted = match self.draw {
            Drawing::Arms { .. } => 2..=usize::MAX,
            Drawing::StepCost { .. } | Drawing::ComplexityTable {} => 0..=0,
            _ => 1..=1,
        };
        if !wanted.contains(&suites.len()) {
            let needed = match wanted.start() {
                0 => "none is",
                1 => "one is",
                _ => "two or more are",
            };
            let reason = format!("{} are given, {needed} needed", suites.len());
            return Err(Invalid::new("suites", reason));
        }
        self.check_quantities()?;
        let (problems, optimizers): (Vec<&str>, Vec<&str>) = match &self.draw {
            Drawing::Curves { metrics, .. } if metrics.is_empty() => {
                return Err(Invalid::new("metrics", "it is empty"));
            }
            Drawing::Curves {
                problems,
                optimizers,
                ..
            }
            | Drawing::Panels {
                problems,
                optimizers,
                ..
            }
            | Drawing::Paths {
                problems,
                optimizers,
            } => (strings(problems), strings(optimizers)),
            Drawing::Landscape {
                problem,
                optimizer,
                radius,
                steps,
            } => {
                if !(*radius > 0.0 && radius.is_finite()) {
                    return Err(Invalid::value(
                        "radius",
                        radius,
                        "a positive number is needed",
                    ));
                }
                check_steps(*steps)?;
                (vec![problem], vec![optimizer])
            }
            Drawing::Solutions {
                problem,
                optimizers,
                steps,
            } => {
                check_steps(*steps)?;
                if optimizers.is_empty() {
                    return Err(Invalid::new("optimizers", "it is empty"));
                }
                (vec![problem], strings(optimizers))
            }
            Drawing::FaultEffects { method, rival } => (Vec::new(), vec![method, rival]),
            Drawing::Arms { optimizers, .. } => (Vec::new(), strings(optimizers)),
            _ => (Vec::new(), Vec::new()),
        };
        let known = |what: &str, names: &[&str], known: Vec<String>| {
            let unknown = |name: &&&str| !known.iter().any(|known| known == *name);
            match names.iter().find(unknown) {
                Some(name) => {
                    let nearest = suggestion(&known, name);
                    let reason = format!("no {what} `{name}` in its suites{nearest}");
                    Err(Invalid::new("draw", reason))
                }
                None => Ok(()),
            }
        };
        let labels = suites.iter().flat_map(|suite| &suite.problems);
        let labels = labels.map(|entry| entry.label.clone());
        known("problem", &problems, labels.collect())?;
        let labels = suites.iter().flat_map(Experiment::optimizer_labels);
        known(
            "optimizer",
            &optimizers,
            labels.map(str::to_owned).collect(),
        )?;
        Ok(())
    }
}

/// Whether a grid with so many intervals on a side can be drawn.
fn check_steps(steps: usize) -> Result<(), Invalid> {
    if (4..=100).contains(&steps) {
        return Ok(());
    }
    Err(Invalid::value("steps", steps, "4 to 100 are possible"))
}

fn strings(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[figure]]
id = "curves"
about = "Curves."
suites = ["quick"]
draw = { kind = "curves", metrics = ["loss"], axis = "epochs", problems = ["beale"] }

[reference]
suites = ["quick"]
tolerance = { loss = { factor = 2.0, floor = 1e-6 } }
"#;

    fn error(text: &str) -> String {
        FigureCatalogue::parse(text, Path::new("figures.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_built_in_catalogue_is_valid() {
        let catalogue = FigureCatalogue::built_in().unwrap();
        assert!(catalogue.entries.len() > 15);
        assert_eq!(
            catalogue.select(&[]).unwrap().len(),
            catalogue.entries.len()
        );
    }

    #[test]
    fn whatever_does_not_exist_is_refused_by_name() {
        FigureCatalogue::parse(GOOD, Path::new("figures.toml")).unwrap();
        for (old, new, expected) in [
            ("about =", "abut =", "unknown field `abut`"),
            (
                "kind = \"curves\"",
                "kind = \"curve\"",
                "unknown variant `curve`",
            ),
            (
                "axis = \"epochs\"",
                "axis = \"epochen\"",
                "unknown variant `epochen`",
            ),
            (
                "axis = \"epochs\"",
                "axis = \"loss\"",
                "`axis` = loss: known are evaluations, sample-gradients, seconds, epochs",
            ),
            ("axis = ", "axes = ", "axes"),
            (
                "suites = [\"quick\"]\ndraw",
                "suites = [\"quik\"]\ndraw",
                "did you mean `quick`?",
            ),
            (
                "suites = [\"quick\"]\ndraw",
                "draw",
                "`suites`: 0 are given",
            ),
            (
                "[\"beale\"]",
                "[\"bale\"]",
                "no problem `bale` in its suites; did you mean `beale`?",
            ),
            ("[\"loss\"]", "[]", "`metrics`: it is empty"),
            (
                "id = \"curves\"",
                "id = \"../curves\"",
                "it names the files",
            ),
            ("factor = 2.0", "factor = 0.5", "`factor`"),
            ("loss =", "los =", "unknown variant `los`"),
        ] {
            let text = GOOD.replacen(old, new, 1);
            assert_ne!(text, GOOD);
            let message = error(&text);
            assert!(message.contains(expected), "{new}: {message}");
            assert!(message.starts_with("figures.toml"), "{message}");
        }
        let twice = GOOD.replacen("[reference]", "[[figure]]\nid = \"curves\"\nabout = \"\"\ndraw = { kind = \"complexity-table\" }\n[reference]", 1);
        assert!(error(&twice).contains("used twice"));
        let report = GOOD.replacen("[reference]", "[reference]\nsummaries = [\"quick\"]", 1);
        assert!(error(&report).contains("`quick` is there twice"));
    }
}
