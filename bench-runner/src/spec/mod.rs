//! Experiment files: which problems, optimizers, seeds and budgets; read from TOML and checked
//! before anything runs.

mod executor;
mod locate;
mod optimizer;
mod scale;
mod suite;
mod tuning;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Var};
use optim::Parameters;
use serde::{Deserialize, Serialize};

use crate::problem::ProblemConfig;
use locate::{Source, Table};

pub use executor::{BadSetting, ExecutorConfig, ExecutorKind};
pub use locate::SpecError;
pub use optimizer::OptimizerConfig;
pub use scale::{Cut, Scale};
pub use suite::{SUITES, Suite};
pub use tuning::{Trial, Tuning};

/// A validated experiment file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// The name, which is also the report's folder.
    pub name: String,
    /// What the experiment asks.
    pub description: String,
    /// What limits the results' meaning.
    pub caveats: Vec<String>,
    /// The seeds; every optimizer gets the same.
    pub seeds: Vec<u64>,
    /// How settings are chosen, if they are.
    pub tuning: Option<Tuning>,
    /// What the smaller scales leave of the experiment, where it says so itself.
    #[serde(rename = "scale")]
    pub scales: BTreeMap<Scale, Cut>,
    /// The problems.
    #[serde(rename = "problem")]
    pub problems: Vec<ProblemEntry>,
    /// The optimizers.
    #[serde(rename = "optimizer")]
    pub optimizers: Vec<OptimizerEntry>,
    /// Where the runs are made, if the file says so.
    pub executor: Option<ExecutorConfig>,
}

/// A problem with its budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProblemEntry {
    /// The label, for example `rosenbrock-20d`.
    pub label: String,
    /// The budget of each run, in evaluations.
    pub budget: u64,
    /// Epochs after which a run ends even if budget is left.
    pub epochs: Option<u64>,
    /// Seconds of training after which a run ends even if budget is left; its numbers then depend on
    /// the machine.
    pub seconds: Option<f64>,
    /// The loss that counts as solved.
    pub target: Option<f64>,
    /// Measured points per run.
    pub points: u64,
    /// The problem.
    #[serde(flatten)]
    pub config: ProblemConfig,
}

/// An optimizer with its label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OptimizerEntry {
    /// The label, for example `fuse-pv/epoch`.
    pub label: String,
    /// The problems that this entry is for; all when empty.
    pub problems: Vec<String>,
    /// The settings to choose from; none where they are given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
    /// The optimizer; the first trial if there are any.
    #[serde(flatten)]
    pub config: OptimizerConfig,
}

impl OptimizerEntry {
    /// Whether it is for a problem.
    pub fn applies_to(&self, problem: &str) -> bool {
        applies(&self.problems, problem)
    }
}

/// Whether what is for some problems, all when none is named, is for this one.
pub(crate) fn applies(problems: &[String], problem: &str) -> bool {
    problems.is_empty() || problems.iter().any(|label| label == problem)
}

/// The error for a name that nothing answers to.
pub(crate) fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> crate::Error {
    crate::Error::UnknownName {
        what,
        name: name.into(),
        known: known.cloned().collect(),
    }
}

impl Experiment {
    /// Reads and checks an experiment file.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid, with file, line, column and key.
    pub fn read(path: &Path) -> crate::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| crate::Error::Input {
            path: path.into(),
            reason: error.to_string(),
        })?;
        Ok(Self::parse(&text, path)?)
    }

    /// The text of an experiment file that says the same, after defaults and grids were filled in.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn to_toml(&self) -> crate::Result<String> {
        toml::to_string(self).map_err(|error| crate::Error::Problem {
            message: format!("the experiment cannot be written down: {error}"),
        })
    }

    /// Parses and checks the text of an experiment file; `file` is for messages.
    ///
    /// # Errors
    /// As [`Experiment::read`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, SpecError> {
        let mut root = Source { file, text }.parse()?;
        let experiment = Self {
            name: root.required("name")?,
            description: root.optional("description")?.unwrap_or_default(),
            caveats: root.optional("caveats")?.unwrap_or_default(),
            seeds: seeds(&mut root)?,
            tuning: Tuning::parse(&mut root)?,
            scales: scale::parse(&mut root)?,
            problems: each(&mut root, "problem", problem)?,
            optimizers: each(&mut root, "optimizer", optimizer)?,
            executor: executor(&mut root)?,
        };
        experiment.check(&root)?;
        let known = [
            "name",
            "description",
            "caveats",
            "seeds",
            "tuning",
            "scale",
            "problem",
            "optimizer",
            "executor",
        ];
        root.finish(&known)?;
        Ok(experiment)
    }

    /// The optimizer entries that apply to a problem, in order.
    pub fn optimizers_for(&self, problem: &str) -> impl Iterator<Item = &OptimizerEntry> {
        self.optimizers
            .iter()
            .filter(move |entry| entry.applies_to(problem))
    }

    /// The problem with a label.
    ///
    /// # Errors
    /// [`crate::Error::UnknownName`] when there is none.
    pub fn problem(&self, label: &str) -> crate::Result<&ProblemEntry> {
        let labels = || self.problems.iter().map(|entry| &entry.label);
        let found = self.problems.iter().find(|entry| entry.label == label);
        found.ok_or_else(|| unknown("problem", label, labels()))
    }

    /// The optimizer with a label that applies to a problem.
    ///
    /// # Errors
    /// [`crate::Error::UnknownName`] when there is none.
    pub fn optimizer(&self, problem: &str, label: &str) -> crate::Result<&OptimizerEntry> {
        let labels = || self.optimizers_for(problem).map(|entry| &entry.label);
        let mut known = self.optimizers_for(problem);
        let found = known.find(|entry| entry.label == label);
        found.ok_or_else(|| unknown("optimizer", label, labels()))
    }

    /// The optimizers' labels, each once, in order.
    pub fn optimizer_labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for entry in &self.optimizers {
            if !labels.contains(&entry.label.as_str()) {
                labels.push(&entry.label);
            }
        }
        labels
    }

    /// The rules that span several tables.
    fn check(&self, root: &Table<'_>) -> Result<(), SpecError> {
        let valid_name = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                && !name.starts_with('.')
        };
        if !valid_name(&self.name) {
            return Err(root.error(format!(
                "`name` = \"{}\": use letters, digits, `-`, `_` and `.`; it names the report's folder",
                self.name
            )));
        }
        tuning::check(self).map_err(|message| root.error(message))?;
        for (scale, cut) in &self.scales {
            if let Some(label) = cut
                .problems
                .iter()
                .find(|label| !self.problems.iter().any(|problem| problem.label == **label))
            {
                return Err(root.error(format!("`scale.{scale}`: no problem is called `{label}`")));
            }
        }
        for problem in &self.problems {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for entry in self.optimizers_for(&problem.label) {
                *counts.entry(&entry.label).or_default() += 1;
            }
            if let Some(entry) = self
                .optimizers_for(&problem.label)
                .find(|entry| entry.config.needs_overlap() && !problem.config.has_overlap())
            {
                return Err(root.error(format!(
                    "`{}` takes its curvature pairs from samples that batches share, and those of `{}` share none: \
                     give the problem an `order = {{ overlap = … }}`, or the optimizer other `pairs`",
                    entry.label, problem.label
                )));
            }
            if counts.is_empty() {
                return Err(root.error(format!("no optimizer applies to `{}`", problem.label)));
            }
            if let Some((label, _)) = counts.iter().find(|(_, count)| **count > 1) {
                return Err(root.error(format!(
                    "two `{label}` optimizers apply to `{}`: labels must be unique per problem",
                    problem.label
                )));
            }
        }
        Ok(())
    }
}

/// Takes `seeds`: a count, or a list of different seeds, in ascending order.
fn seeds(root: &mut Table<'_>) -> Result<Vec<u64>, SpecError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seeds {
        Count(u64),
        List(Vec<u64>),
    }
    let here = root.error_at(
        "seeds",
        "`seeds` must be a number of at least 1, or a list of different seeds",
    );
    let mut seeds = match root.required("seeds").map_err(|_| here.clone())? {
        Seeds::Count(count) => (0..count).collect(),
        Seeds::List(list) => list,
    };
    let count = seeds.len();
    seeds.sort_unstable();
    seeds.dedup();
    if seeds.is_empty() || seeds.len() < count {
        return Err(here);
    }
    Ok(seeds)
}

/// Reads every table of an array that must not be empty.
fn each<T>(
    root: &mut Table<'_>,
    key: &str,
    mut read: impl FnMut(&mut Table<'_>, &[T]) -> Result<T, SpecError>,
) -> Result<Vec<T>, SpecError> {
    let mut entries = Vec::new();
    for table in root.tables(key)? {
        for mut table in table.expand_grid()? {
            let entry = read(&mut table, &entries)?;
            entries.push(entry);
        }
    }
    if entries.is_empty() {
        return Err(root.error(format!("at least one [[{key}]] is needed")));
    }
    Ok(entries)
}

fn problem(table: &mut Table<'_>, before: &[ProblemEntry]) -> Result<ProblemEntry, SpecError> {
    let kind = table.kind(ProblemConfig::KINDS)?;
    let label: String = table.required("label")?;
    if before.iter().any(|other| other.label == label) {
        return Err(table.error(format!("`label` = \"{label}\" is used twice")));
    }
    let at_budget = table.error_at("budget", "");
    let budget = positive(table, "budget")?
        .ok_or_else(|| table.error("`budget` (evaluations per run) is missing"))?;
    let points = positive(table, "points")?.unwrap_or(40);
    if points > budget {
        return Err(SpecError {
            message: format!("`budget` = {budget} is less than `points` = {points}"),
            ..at_budget
        });
    }
    let epochs = positive(table, "epochs")?;
    let at_seconds = table.error_at("seconds", "");
    let seconds: Option<f64> = table.optional("seconds")?;
    if let Some(seconds) = seconds.filter(|seconds| !seconds.is_finite() || *seconds <= 0.0) {
        return Err(SpecError {
            message: format!("`seconds` = {seconds}: a positive number is needed"),
            ..at_seconds
        });
    }
    let target = table.optional("target")?;
    let here = table.error("");
    let config = match kind.as_str() {
        "function" => ProblemConfig::Function(table.rest()?),
        "quadratic" => ProblemConfig::Quadratic(table.rest()?),
        "classification" => ProblemConfig::Classification(table.rest()?),
        _ => ProblemConfig::Language(table.rest()?),
    };
    config
        .check()
        .map_err(|message| SpecError { message, ..here })?;
    Ok(ProblemEntry {
        label,
        budget,
        epochs,
        seconds,
        target,
        points,
        config,
    })
}

fn optimizer(
    table: &mut Table<'_>,
    _before: &[OptimizerEntry],
) -> Result<OptimizerEntry, SpecError> {
    let search = table.variants("search")?;
    let listed = table.tables("trials")?;
    if search.is_some() && !listed.is_empty() {
        return Err(table.error("`search` and `trials`: give one of them"));
    }
    let (mut trials, mut first) = (Vec::new(), None);
    for mut table in listed {
        let setting = table.required("setting")?;
        let config = entry(&mut table)?.config;
        trials.push(Trial { setting, config });
    }
    for (mut table, setting) in search.into_iter().flatten() {
        let entry = entry(&mut table)?;
        trials.push(Trial {
            setting,
            config: entry.config.clone(),
        });
        first.get_or_insert(entry);
    }
    // What is searched may have no default, so that only its trials are whole.
    let entry = match first {
        Some(first) => first,
        None => entry(table)?,
    };
    Ok(OptimizerEntry { trials, ..entry })
}

/// An optimizer with given settings.
fn entry(table: &mut Table<'_>) -> Result<OptimizerEntry, SpecError> {
    let kind = table.kind(OptimizerConfig::KINDS)?;
    let label = table.optional("label")?.unwrap_or_else(|| kind.clone());
    let problems = table.optional("problems")?.unwrap_or_default();
    let here = table.error("");
    let config = match kind.as_str() {
        "sgd" => OptimizerConfig::Sgd(table.rest()?),
        "adam" => OptimizerConfig::Adam(table.rest()?),
        "adam-sgd" => OptimizerConfig::AdamSgd(table.rest()?),
        "lbfgs" => OptimizerConfig::Lbfgs(table.rest()?),
        "fuse" => OptimizerConfig::Fuse(table.rest()?),
        _ => OptimizerConfig::FusePv(table.rest()?),
    };
    check_settings(&config).map_err(|error| SpecError {
        message: error.to_string(),
        ..here
    })?;
    Ok(OptimizerEntry {
        label,
        problems,
        trials: Vec::new(),
        config,
    })
}

fn executor(root: &mut Table<'_>) -> Result<Option<ExecutorConfig>, SpecError> {
    let here = root.error_at("executor", "");
    let Some(config) = root.optional::<ExecutorConfig>("executor")? else {
        return Ok(None);
    };
    let message = match config.check() {
        _ if config.kind.is_none() => "`executor.kind` is missing: local, plan or slurm".into(),
        Err(bad) => format!(
            "`executor.{}` = {}: {}",
            bad.flag.replace('-', "_"),
            bad.value,
            bad.reason
        ),
        Ok(()) => return Ok(Some(config)),
    };
    Err(SpecError { message, ..here })
}

/// Builds the optimizer for a stand-in parameter, which checks every setting before any work starts.
fn check_settings(config: &OptimizerConfig) -> optim::Result<()> {
    let x = Var::zeros(1, DType::F64, &Device::Cpu)?;
    config.build(&Parameters::new([("x", x)])?)?;
    Ok(())
}

fn positive(table: &mut Table<'_>, key: &str) -> Result<Option<u64>, SpecError> {
    let here = table.error_at(key, "");
    match table.optional::<i64>(key)? {
        None => Ok(None),
        Some(value) => match u64::try_from(value) {
            Ok(value) if value > 0 => Ok(Some(value)),
            _ => Err(SpecError {
                message: format!("`{key}` = {value}: a whole number of at least 1 is needed"),
                ..here
            }),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "demo"
seeds = 2

[[problem]]
label = "rosenbrock"
kind = "function"
function = "rosenbrock"
budget = 100

[[optimizer]]
kind = "adam"
learning_rate = 0.01
"#;

    fn error(text: &str) -> String {
        Experiment::parse(text, Path::new("demo.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn reads_a_minimal_file() {
        let experiment = Experiment::parse(GOOD, Path::new("demo.toml")).unwrap();
        assert_eq!(experiment.seeds, [0, 1]);
        assert_eq!(experiment.optimizers[0].label, "adam");
        assert_eq!(experiment.problems[0].points, 40);
    }

    #[test]
    fn pairs_over_shared_samples_need_batches_that_share_some() {
        let text = GOOD.replace(
            "kind = \"adam\"\nlearning_rate = 0.01",
            "kind = \"lbfgs\"\npairs = \"overlap\"",
        );
        let said = error(&text);
        assert!(
            said.contains("`lbfgs` takes its curvature pairs from samples that batches share"),
            "{said}"
        );
        assert!(said.contains("those of `rosenbrock` share none"), "{said}");
    }

    #[test]
    fn a_grid_makes_one_entry_per_combination() {
        let text = GOOD
            .replace(
                "budget = 100",
                "budget = 100\ngrid = { noise = [0.0, 0.1], dimension = [2, 3] }",
            )
            .replace(
                "kind = \"adam\"\nlearning_rate = 0.01",
                "kind = \"fuse-pv\"\nadam = { beta1 = 0.8 }\ngrid = { \"adam.learning_rate\" = [0.1, 0.01], criterion = [\"never\", { epoch = 3 }] }",
            );
        let experiment = Experiment::parse(&text, Path::new("demo.toml")).unwrap();
        let problems: Vec<&str> = experiment
            .problems
            .iter()
            .map(|p| p.label.as_str())
            .collect();
        assert_eq!(
            problems,
            [
                "rosenbrock/noise=0.0/dimension=2",
                "rosenbrock/noise=0.0/dimension=3",
                "rosenbrock/noise=0.1/dimension=2",
                "rosenbrock/noise=0.1/dimension=3",
            ]
        );
        let labels = experiment.optimizer_labels();
        assert_eq!(labels[0], "fuse-pv/learning_rate=0.1/criterion=never");
        assert_eq!(
            labels[3],
            "fuse-pv/learning_rate=0.01/criterion={ epoch = 3 }"
        );
        let OptimizerConfig::FusePv(last) = &experiment.optimizers[3].config else {
            panic!("{:?}", experiment.optimizers[3]);
        };
        assert_eq!(last.criterion, optim::Criterion::Epoch(3));
        assert_eq!((last.adam.learning_rate, last.adam.beta1), (0.01, 0.8));
    }

    #[test]
    fn errors_name_place_and_key_and_say_what_would_be_right() {
        let cases = [
            ("seeds = 2", "seeds = 0"),
            ("seeds = 2", "seeds = [1, 1]"),
            ("seeds = 2", "seed = 2"),
            ("seeds = 2", "seeds = 2\nbudgets = 3"),
            ("budget = 100", "budget = -100"),
            ("budget = 100", "budget = 10"),
            ("budget = 100", "budget = \"many\""),
            ("budget = 100", "budget = 100\ndimensions = 3"),
            ("budget = 100", "budget = 100\nnoise = -1.0"),
            ("budget = 100", "budget = 100\ndimension = 1"),
            ("function = \"rosenbrock\"", "function = \"rosenbrok\""),
            ("kind = \"function\"", "kind = \"funtion\""),
            ("kind = \"adam\"", "kind = \"adm\""),
            ("kind = \"adam\"", ""),
            ("learning_rate = 0.01", "learning_rte = 0.01"),
            ("learning_rate = 0.01", "learning_rate = -0.01"),
            ("learning_rate = 0.01", "problems = [\"other\"]"),
            ("name = \"demo\"", "name = \"../demo\""),
            ("[[optimizer]]", "[[optimizer"),
            ("budget = 100", "budget = 100\nepochs = 0"),
            ("budget = 100", "budget = 100\nseconds = 0"),
            ("learning_rate = 0.01", "grid = { learning_rate = 0.01 }"),
            ("learning_rate = 0.01", "grid = { learning_rate = [] }"),
            (
                "learning_rate = 0.01",
                "grid = { learning_rate = [0.1, -0.1] }",
            ),
            ("learning_rate = 0.01", "grid = { rate = [0.1] }"),
            ("learning_rate = 0.01", "grid = { \"kind.x\" = [0.1] }"),
            ("learning_rate = 0.01", "grid = [0.1]"),
            ("seeds = 2", "seeds = 2\nexecutor = { shards = 3 }"),
            ("seeds = 2", "seeds = 2\nexecutor = { kind = \"slrm\" }"),
            (
                "seeds = 2",
                "seeds = 2\nexecutor = { kind = \"slurm\", shrads = 3 }",
            ),
            (
                "seeds = 2",
                "seeds = 2\nexecutor = { kind = \"slurm\", time = \"4h\" }",
            ),
            (
                "seeds = 2",
                "seeds = 2\nexecutor = { kind = \"local\", array_limit = 3 }",
            ),
        ];
        let messages: Vec<String> = cases
            .iter()
            .map(|(old, new)| {
                let text = GOOD.replacen(old, new, 1);
                assert_ne!(text, GOOD);
                format!("{new:?}\n  {}", error(&text))
            })
            .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn every_built_in_suite_is_valid() {
        for suite in SUITES {
            let experiment = suite.experiment().unwrap();
            assert_eq!(experiment.name, suite.name);
        }
    }

    #[test]
    fn an_experiment_written_out_is_read_back_as_it_was() {
        let mut experiments: Vec<Experiment> = SUITES
            .iter()
            .map(|suite| suite.experiment().unwrap())
            .collect();
        experiments[0].seeds = vec![3, 5];
        experiments[0].executor = Some(ExecutorConfig {
            kind: Some(ExecutorKind::Slurm),
            shards: Some(4),
            ..ExecutorConfig::default()
        });
        for experiment in experiments {
            let text = toml::to_string(&experiment).unwrap();
            let again = Experiment::parse(&text, Path::new("again.toml")).unwrap();
            assert_eq!(again, experiment);
        }
    }
}
