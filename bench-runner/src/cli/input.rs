//! What a command line names: experiments, reports, scales.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bench_data::Catalogue;
use bench_experiment::spec::{Experiment, Scale, Suite};
use bench_experiment::store::{self, Results};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::error::{Error, Result};

/// A built-in suite by its name, or an experiment file with the sizes that it leaves to the data.
pub fn experiment(name: &str, catalogue: &Catalogue) -> Result<Experiment> {
    Ok(as_written(name)?.with_sizes_of_data(catalogue))
}

/// A built-in suite by its name, or an experiment file, as it is.
pub fn as_written(name: &str) -> Result<Experiment> {
    let path = Path::new(name);
    let is_toml = path
        .extension()
        .is_some_and(|extension| extension == "toml");
    Ok(if is_toml || path.is_file() {
        Experiment::read(path)?
    } else {
        Suite::find(name)?.experiment()?
    })
}

/// The result file of a report's folder, or the file itself.
pub fn results_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("results.parquet")
    } else {
        path.into()
    }
}

/// The results of the reports that `--from` names, by suite; each must be of one of these `suites`.
///
/// # Errors
/// When a report cannot be read, or is of another suite.
pub fn reports(from: &[PathBuf], suites: &[&str]) -> Result<BTreeMap<String, Results>> {
    let mut known = BTreeMap::new();
    for path in from {
        let results = store::read(&results_file(path))?;
        if !suites.contains(&results.suite.as_str()) {
            let (suite, expected) = (&results.suite, suites.join(", "));
            return Err(Error::Flag {
                flag: "from".to_owned(),
                value: path.display().to_string(),
                reason: format!("these are results of `{suite}`, expected some of {expected}"),
            });
        }
        known.insert(results.suite.clone(), results);
    }
    Ok(known)
}

/// Parses `--scale`.
pub fn scale() -> impl TypedValueParser<Value = Scale> {
    let values = Scale::ALL.map(|(scale, about)| PossibleValue::new(scale.name()).help(about));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Scale>())
}
