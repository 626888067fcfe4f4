//! From the text of an experiment file to an [`Experiment`].

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::{DType, Device, Var};
use optim::Parameters;

use super::check;
use super::executor::ExecutorConfig;
use super::experiment::{Experiment, OptimizerEntry, ProblemEntry};
use super::locate::{Source, SpecError, Table};
use super::tuning::Trial;
use super::{scale, stability, tuning};
use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
use crate::problem::ProblemConfig;
use crate::settings::Invalid;

impl Experiment {
    /// Reads and checks an experiment file.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid, with file, line, column and key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let experiment = Self::parse(&text, path)?;
        // Not in `parse`: manifests of experiments that were cut may name problems that went.
        let source = Source {
            file: path,
            text: &text,
        };
        check::named(&experiment, source.parse()?)?;
        Ok(experiment)
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
            seeds: tuning::seeds(&mut root)?,
            tuning: tuning::parse(&mut root)?,
            stability: stability::parse(&mut root)?,
            scales: scale::parse(&mut root)?,
            problems: each(&mut root, "problem", problem)?,
            optimizers: each(&mut root, "optimizer", optimizer)?,
            executor: executor(&mut root)?,
        };
        check::check(&experiment, &root)?;
        let known = [
            "name",
            "description",
            "caveats",
            "seeds",
            "tuning",
            "stability",
            "scale",
            "problem",
            "optimizer",
            "executor",
        ];
        root.finish(&known)?;
        Ok(experiment)
    }
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
    let kind = table.kind(ProblemConfig::kind_named)?;
    let label = label(table)?.ok_or_else(|| table.error("`label` is missing"))?;
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
    let at_resolution = table.error_at("resolution", "");
    let resolution = table.optional("resolution")?.unwrap_or(RESOLUTION);
    if !(LEAST_RESOLUTION..=1.0).contains(&resolution) {
        return Err(SpecError {
            message: format!(
                "`resolution` = {resolution}: a number from {LEAST_RESOLUTION} to 1 is needed"
            ),
            ..at_resolution
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
    let at_target = table.error_at("target", "");
    let target: Option<f64> = table.optional("target")?;
    if let Some(target) = target.filter(|target| !target.is_finite()) {
        return Err(SpecError {
            message: format!("`target` = {target}: a finite number is needed"),
            ..at_target
        });
    }
    let places = table.places();
    let written = table.keys_of("model");
    let config = table.read(|settings| kind.read(settings))?;
    let model = config.setting("model");
    let read = model.iter().filter_map(|model| model.as_object());
    let read = read.flat_map(|model| model.keys().cloned());
    let left_out: BTreeSet<String> = read.filter(|key| !written.contains(key)).collect();
    let fitted = config.with_sizes_of_data(None, &|key| left_out.contains(key));
    let config = fitted.unwrap_or(config);
    check_sizes(&config)
        .and_then(|()| config.check())
        .map_err(|invalid| places.error(&invalid.key, invalid.to_string()))?;
    Ok(ProblemEntry {
        label,
        budget,
        epochs,
        seconds,
        target,
        points,
        resolution,
        config,
        left_out,
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
    let kind = table.kind(OptimizerConfig::kind_named)?;
    let here = table.error_at("label", "");
    let label = label(table)?.unwrap_or_else(|| kind.name.to_owned());
    if label.starts_with(IMPORTED) {
        return Err(SpecError {
            message: format!(
                "`label`: `{IMPORTED}` marks the runs of other programs: use another name"
            ),
            ..here
        });
    }
    let problems = table.optional("problems")?.unwrap_or_default();
    let stream = number(table, "stream")?;
    let perturbation = number(table, "perturbation")?;
    let places = table.places();
    let config = table.read(|settings| kind.read(settings))?;
    check_settings(&config).map_err(|error| {
        let key = match &error {
            optim::Error::HyperParameter { name, .. } => name,
            _ => "",
        };
        places.error(key, error.to_string())
    })?;
    Ok(OptimizerEntry {
        label,
        problems,
        stream,
        perturbation,
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
        Err(invalid) => Invalid {
            key: format!("executor.{}", invalid.key),
            ..invalid
        }
        .to_string(),
        Ok(()) => return Ok(Some(config)),
    };
    Err(SpecError { message, ..here })
}

/// The most that a size in a problem's settings may be: a dimension, a width, a number of samples.
const LARGEST_SIZE: i64 = 100_000_000;
/// Entries of a list in a problem's settings, at most.
const LONGEST_LIST: usize = 1_000;

/// Whether all sizes of a problem, of whatever kind, can be counted with, before anything is built of them.
fn check_sizes(config: &ProblemConfig) -> Result<(), Invalid> {
    fn check(key: &str, value: &toml::Value) -> Result<(), Invalid> {
        match value {
            toml::Value::Integer(size) if *size > LARGEST_SIZE => {
                let reason = format!("at most {LARGEST_SIZE} is possible");
                Err(Invalid::value(key, size, reason))
            }
            toml::Value::Array(list) if list.len() > LONGEST_LIST => {
                let reason = format!("at most {LONGEST_LIST} entries are possible");
                Err(Invalid::value(
                    key,
                    format!("{} entries", list.len()),
                    reason,
                ))
            }
            toml::Value::Array(list) => list.iter().try_for_each(|value| check(key, value)),
            toml::Value::Table(table) => table
                .iter()
                .try_for_each(|(inner, value)| check(&format!("{key}.{inner}"), value)),
            _ => Ok(()),
        }
    }
    let settings = toml::Value::try_from(config)
        .map_err(|error| Invalid::new("kind", format!("its settings: {error}")))?;
    let settings = settings.as_table().into_iter().flatten();
    for (key, value) in settings {
        check(key, value)?;
    }
    Ok(())
}

/// Builds the optimizer for a parameter of one element, which checks every setting before any work starts.
/// Shares of a budget can be used with every budget or with none.
pub(crate) fn check_settings(config: &OptimizerConfig) -> optim::Result<()> {
    let of_a_run = config.with_budget(LARGEST_COUNT);
    let config = of_a_run.as_ref().unwrap_or(config);
    let x = Var::zeros(1, DType::F64, &Device::Cpu)?;
    config.build(&Parameters::new([("x", x)])?)?;
    Ok(())
}

/// Takes a label, which reports, tables and file names show.
fn label(table: &mut Table<'_>) -> Result<Option<String>, SpecError> {
    let here = table.error_at("label", "");
    let label: Option<String> = table.optional("label")?;
    match label.as_deref().map(check_text) {
        Some(Err(reason)) => Err(SpecError {
            message: format!("`label`: {reason}"),
            ..here
        }),
        _ => Ok(label),
    }
}

/// Letters in a label, at most.
const LONGEST_LABEL: usize = 200;

/// What the labels of optimizers begin with whose runs another program made, so that none is taken for one of ours.
pub const IMPORTED: &str = "imported/";

/// What is wrong with a label, and what would be right.
pub(crate) fn check_text(label: &str) -> Result<(), String> {
    // Signs that change the direction of writing make one label look like another.
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let length = label.chars().count();
    if label.contains(hidden) {
        Err(format!("{label:?} has control characters in it"))
    } else if label.trim().is_empty() {
        Err("at least one letter is needed".into())
    } else if length > LONGEST_LABEL {
        Err(format!("{length} letters: use {LONGEST_LABEL} or fewer"))
    } else {
        Ok(())
    }
}

/// The most that a count of evaluations, epochs or points may be; its products fit into 64 bits.
const LARGEST_COUNT: u64 = 1_000_000_000_000;
/// The share that a cost may grow by between two measured points.
const RESOLUTION: f64 = 0.05;
/// As fine as a resolution may be: each tenfold cost then has 2,300 points.
const LEAST_RESOLUTION: f64 = 0.001;
/// Measured points of a run, at most.
const MOST_POINTS: u64 = 100_000;

/// Takes a number of which nothing is counted; 0 where it is not given.
fn number(table: &mut Table<'_>, key: &str) -> Result<u64, SpecError> {
    let here = table.error_at(key, "");
    match table.optional::<i64>(key)?.map_or(Ok(0), u64::try_from) {
        Ok(number) if number <= LARGEST_COUNT => Ok(number),
        _ => Err(SpecError {
            message: format!("`{key}`: a whole number from 0 to {LARGEST_COUNT} is needed"),
            ..here
        }),
    }
}

fn positive(table: &mut Table<'_>, key: &str) -> Result<Option<u64>, SpecError> {
    let here = table.error_at(key, "");
    let most = match key {
        "points" => MOST_POINTS,
        _ => LARGEST_COUNT,
    };
    match table.optional::<i64>(key)? {
        None => Ok(None),
        Some(value) => match u64::try_from(value) {
            Ok(value) if (1..=most).contains(&value) => Ok(Some(value)),
            Ok(value) if value > most => Err(SpecError {
                message: format!("`{key}` = {value}: at most {most} is possible"),
                ..here
            }),
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
    use bench_data::Catalogue;

    use super::*;
    use crate::spec::{ExecutorKind, SUITES, Stability, Suite};

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
    fn optimizers_that_choose_batches_need_batches_that_can_grow() {
        for settings in [
            "kind = \"lbfgs\"\nsample_test = 0.9",
            "kind = \"fuse\"\nlbfgs = { sample_test = 0.9 }",
            "kind = \"fuse-pv\"\nlbfgs = { sample_test = 0.9 }",
            "kind = \"fuse-pv\"\nswitch_batch = 64",
        ] {
            let said = error(&GOOD.replace("kind = \"adam\"\nlearning_rate = 0.01", settings));
            let kind = settings.split('"').nth(1).unwrap();
            assert!(
                said.contains(&format!("`{kind}` chooses the size of its batches")),
                "{said}"
            );
            assert!(said.contains("those of `rosenbrock` cannot grow"), "{said}");
        }
        let sum = "kind = \"finite-sum\"\nloss = \"logistic\"\nsamples = 100\ndimension = 2\n\
                   condition = 2.0\nbatch_size = 8";
        let text = GOOD
            .replace("kind = \"function\"\nfunction = \"rosenbrock\"", sum)
            .replace(
                "kind = \"adam\"\nlearning_rate = 0.01",
                "kind = \"fuse-pv\"\nswitch_batch = 64",
            );
        assert!(Experiment::parse(&text, Path::new("demo.toml")).is_ok());
        let overlapping = text.replace(
            "batch_size = 8",
            "batch_size = 8\norder = { overlap = 0.25 }",
        );
        assert!(error(&overlapping).contains("cannot grow"));
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
        let last = experiment.optimizers[3]
            .config
            .downcast::<optim::FusePvConfig>();
        let last = last.unwrap();
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
            ("budget = 100", "budget = 100\ntarget = nan"),
            ("budget = 100", "budget = 1000000000001"),
            ("budget = 100", "budget = 1000000\npoints = 100001"),
            ("budget = 100", "budget = 100\ndimension = 100000001"),
            ("seeds = 2", "seeds = 10001"),
            ("label = \"rosenbrock\"", "label = \"a\\u001bb\""),
            ("label = \"rosenbrock\"", "label = \" \""),
            (
                "learning_rate = 0.01",
                "grid = { learning_rate = [1, 2], beta1 = [3] }\nlabel = \"x\\ny\"",
            ),
            ("learning_rate = 0.01", "grid = { learning_rate = 0.01 }"),
            ("learning_rate = 0.01", "grid = { learning_rate = [] }"),
            (
                "learning_rate = 0.01",
                "grid = { learning_rate = [0.1, -0.1] }",
            ),
            ("learning_rate = 0.01", "grid = { rate = [0.1] }"),
            ("learning_rate = 0.01", "grid = { \"kind.x\" = [0.1] }"),
            ("learning_rate = 0.01", "grid = [0.1]"),
            ("learning_rate = 0.01", "schedule = { kind = \"cosine\" }"),
            (
                "learning_rate = 0.01",
                "learning_rate = 0.01\nschedule = { kind = \"cosin\", steps = 10 }",
            ),
            (
                "learning_rate = 0.01",
                "learning_rate = 0.01\nschedule = { kind = \"cosine\", steps = { budget = 1.5 } }",
            ),
            (
                "learning_rate = 0.01",
                "learning_rate = 0.01\nschedule = { kind = \"cosine\", steps = { share = 0.5 } }",
            ),
            (
                "learning_rate = 0.01",
                "learning_rate = 0.01\nschedule = { kind = \"multi-step\", at = [], factor = 0.1 }",
            ),
            (
                "kind = \"adam\"\nlearning_rate = 0.01",
                "kind = \"fuse-pv\"\ncriterion = { budget = 10 }",
            ),
            (
                "kind = \"adam\"\nlearning_rate = 0.01",
                "kind = \"fuse-pv\"\nadam = { schedule = { kind = \"cosine\", steps = 0 } }",
            ),
            ("learning_rate = 0.01", "stream = -1"),
            (
                "learning_rate = 0.01",
                "[[optimizer]]\nlabel = \"again\"\nkind = \"adam\"",
            ),
            ("seeds = 2", "seeds = 2\nstability = { perturbations = 1 }"),
            ("seeds = 2", "seeds = 2\nstability = { seeds = 1 }"),
            (
                "seeds = 2",
                "seeds = 2\ntuning = { seeds = [9], validation = 0.1 }",
            ),
            (
                "seeds = 2",
                "seeds = 2\ntuning = { seeds = [9], by = \"accuracy\" }",
            ),
            (
                "seeds = 2",
                "seeds = 2\ntuning = { seeds = [9], extensions = 21 }",
            ),
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
    fn a_file_s_optimizers_are_for_problems_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        let read = |problem: &str| {
            let text = format!("{GOOD}problems = [\"rosenbrock\", \"{problem}\"]\n");
            std::fs::write(&path, text).unwrap();
            Experiment::read(&path)
        };
        assert!(read("rosenbrock").is_ok());
        let error = read("rosenbrok").unwrap_err().to_string();
        let says = "own.toml:14:12: `problems`: no problem is called `rosenbrok`; did you mean `rosenbrock`?";
        assert!(error.ends_with(says), "{error}");
        for suite in SUITES {
            std::fs::write(&path, suite.text).unwrap();
            assert_eq!(Experiment::read(&path).unwrap().name, suite.name);
        }
    }

    #[test]
    fn methods_may_share_trials_but_not_all_of_them() {
        let adam = |method: &str, rate: f64| {
            format!(
                "[[optimizer]]\nlabel = \"{method}/rate={rate}\"\nkind = \"adam\"\nlearning_rate = {rate}\n"
            )
        };
        let start = GOOD.find("[[optimizer]]").unwrap();
        let read = |entries: &[(&str, f64)]| {
            let entries = entries.iter().map(|(method, rate)| adam(method, *rate));
            Experiment::parse(
                &format!("{}{}", &GOOD[..start], entries.collect::<String>()),
                Path::new("shared.toml"),
            )
        };
        assert!(read(&[("a", 0.1), ("a", 0.2), ("b", 0.1)]).is_ok());
        for entries in [
            &[("a", 0.1), ("a", 0.2), ("b", 0.2), ("b", 0.1)][..],
            &[("a", 0.1), ("b", 0.1)],
        ] {
            let error = read(entries).unwrap_err().to_string();
            assert!(error.contains("are the same runs"), "{error}");
        }
    }

    #[test]
    fn what_is_too_many_or_too_long_is_refused_before_it_is_made() {
        let long = "x".repeat(300);
        let text = GOOD.replace("label = \"rosenbrock\"", &format!("label = \"{long}\""));
        assert!(error(&text).contains("`label`: 300 letters: use 200 or fewer"));
        let text = GOOD.replace("name = \"demo\"", &format!("name = \"{long}\""));
        assert!(error(&text).contains("up to 100 letters"));
        // 60 to the power of 4 combinations.
        let list: Vec<String> = (1..=60).map(|i| format!("{i}e-3")).collect();
        let lists = ["learning_rate", "beta1", "beta2", "epsilon"]
            .map(|key| format!("{key} = [{}]", list.join(", ")));
        let grid = format!("grid = {{ {} }}", lists.join(", "));
        let text = GOOD.replace("learning_rate = 0.01", &grid);
        assert!(error(&text).contains("more than 10000 combinations"));
        // 3,600 optimizers with 1,000 seeds.
        let grid = format!("grid = {{ {} }}", lists[..2].join(", "));
        let text = GOOD
            .replace("learning_rate = 0.01", &grid)
            .replace("seeds = 2", "seeds = 1000");
        let text = error(&text);
        assert!(text.contains("3600000 runs: at most 1000000"), "{text}");
        let classes = r#"kind = "classification"
data = "digits"
batch_size = 1
model = { kind = "mlp", inputs = 64, hidden = [8], classes = 1000000000000 }"#;
        let text = GOOD.replace("kind = \"function\"\nfunction = \"rosenbrock\"", classes);
        let text = error(&text);
        assert!(
            text.contains("`model.classes` = 1000000000000: at most"),
            "{text}"
        );
        // Each size is possible, their product is not.
        for model in [
            "kind = \"mlp\", inputs = 64, hidden = [100000000, 100000000]",
            "kind = \"densenet\", depth = 100000000, growth = 100000000",
            "kind = \"resnet\", depth = 99999998, width = 100000000",
        ] {
            let problem = format!(
                "kind = \"classification\"\ndata = \"digits\"\nbatch_size = 1\nmodel = {{ {model} }}"
            );
            let text = GOOD.replace("kind = \"function\"\nfunction = \"rosenbrock\"", &problem);
            let line = 1 + text
                .lines()
                .position(|line| line.starts_with("model"))
                .unwrap();
            let text = error(&text);
            assert!(text.contains(&format!("demo.toml:{line}")), "{text}");
            assert!(text.contains("`model`: parameters = "), "{text}");
            assert!(text.contains("at most 1e10"), "{text}");
        }
    }

    #[test]
    fn an_error_inside_a_table_that_a_key_tells_apart_names_the_inner_key() {
        let entry = "kind = \"classification\"\ndata = \"digits\"\nbatch_size = 1\n";
        for (model, place, says) in [
            (
                "model = { kind = \"mlp\", clases = 10 }",
                "11:25",
                "`model.clases`: unknown field `clases`; did you mean `classes`?",
            ),
            (
                "model = { kind = \"mlp\", inputs = \"a\", classes = 10 }",
                "11:25",
                "`model.inputs`: invalid type: string",
            ),
            (
                "[problem.model]\nkind = \"mlp\"\nclasses = 10\nhidden = [true]",
                "14:1",
                "`model.hidden`: invalid type: boolean",
            ),
        ] {
            let function = "kind = \"function\"\nfunction = \"rosenbrock\"\nbudget = 100";
            let problem = format!("{entry}budget = 100\n{model}");
            let text = error(&GOOD.replace(function, &problem));
            assert!(text.contains(says), "{text}");
            assert!(text.contains(&format!("demo.toml:{place}:")), "{text}");
        }
    }

    #[test]
    fn sizes_that_a_file_leaves_out_are_those_of_the_data() {
        let catalogue = Catalogue::built_in().unwrap();
        let function = "kind = \"function\"\nfunction = \"rosenbrock\"";
        let model = |problem: &str, key: &str| {
            let text = GOOD.replace(function, problem);
            let experiment = Experiment::parse(&text, Path::new("demo.toml")).unwrap();
            let fitted = experiment.with_sizes_of_data(&catalogue);
            let model = fitted.problems[0].config.setting("model").unwrap();
            model[key].as_u64().unwrap()
        };
        let images = |data: &str, model: &str| {
            format!(
                "kind = \"classification\"\ndata = \"{data}\"\nbatch_size = 1\nmodel = {{ {model} }}"
            )
        };
        let digits = images("digits", "kind = \"mlp\"");
        assert_eq!(
            [model(&digits, "inputs"), model(&digits, "classes")],
            [64, 10]
        );
        let given = images("digits", "kind = \"mlp\", inputs = 63");
        assert_eq!(model(&given, "inputs"), 63);
        let cifar100 = images("cifar100", "kind = \"resnet\"");
        assert_eq!(
            [model(&cifar100, "in_channels"), model(&cifar100, "classes")],
            [3, 100]
        );
        let mnist = images("mnist", "kind = \"lenet\"");
        assert_eq!(
            [model(&mnist, "in_channels"), model(&mnist, "size")],
            [1, 28]
        );
        let text = "kind = \"language\"\ndata = \"moby-dick\"\nbatch_size = 1\ncontext = 8\nmodel = { kind = \"gpt\" }\n\
                    tokenizer = { kind = \"bpe\", size = 300 }";
        assert_eq!(model(text, "vocabulary"), 300);
    }

    #[test]
    fn a_suite_takes_the_sizes_that_it_leaves_out_from_the_data() {
        for suite in SUITES {
            let problems = suite.experiment().unwrap().problems;
            assert!(problems.iter().all(|problem| problem.left_out.is_empty()));
        }
        let auto = Suite::find("auto").unwrap().experiment().unwrap();
        let problem = auto.problem("networks/mlp/batch_size=32/short").unwrap();
        let text = toml::to_string(problem).unwrap();
        assert!(
            text.contains("inputs = 64\n") && text.contains("classes = 10\n"),
            "{text}"
        );
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
        experiments[0].stability = Some(Stability { perturbations: 8 });
        experiments[0].optimizers[0].stream = 2;
        experiments[0].optimizers[1] = experiments[0].optimizers[1].perturbed(3);
        experiments[0].executor = Some(ExecutorConfig {
            kind: Some(ExecutorKind::Slurm),
            shards: Some(4),
            ..ExecutorConfig::default()
        });
        for experiment in experiments {
            let experiment = experiment.with_sizes_of_data(&Catalogue::built_in().unwrap());
            let text = toml::to_string(&experiment).unwrap();
            let again = Experiment::parse(&text, Path::new("again.toml")).unwrap();
            assert_eq!(again, experiment);
        }
    }
}
