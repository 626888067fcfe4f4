//! Completion in the shell: the script that asks this program, and the names that it answers with.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use bench_analysis::claims::Claims;
use bench_data::Catalogue;
use bench_experiment::spec::{Experiment, SUITES};
use bench_report::catalogue::FigureCatalogue;
use clap::ValueEnum;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, PathCompleter, ValueCompleter};
use clap_complete::env::Shells;
use clap_complete::{CompletionCandidate, Shell};

use super::input::as_written;
use crate::error::{Error, Result};

/// The variable by which a shell's script asks for completions.
pub const VARIABLE: &str = "BENCH_RUNNER_COMPLETE";

/// The script that makes a shell ask this program.
///
/// # Errors
/// When the script cannot be made.
pub fn script(shell: Shell) -> Result<String> {
    let name = shell.to_possible_value();
    let shells = Shells::builtins();
    let completer = name.and_then(|name| shells.completer(name.get_name()));
    let mut script = Vec::new();
    if let Some(completer) = completer {
        let program = "bench-runner";
        completer
            .write_registration(VARIABLE, program, program, program, &mut script)
            .map_err(Error::Output)?;
    }
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Built-in suites and experiment files.
pub fn experiments() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let suites = SUITES.iter().map(|suite| suite.name.to_owned());
        let is_toml = |path: &Path| path.extension() == Some(OsStr::new("toml"));
        let files = PathCompleter::file().filter(is_toml).complete(current);
        beginning_with(current, suites).chain(files).collect()
    })
}

/// The labels of the named experiment's problems.
pub fn problems() -> ArgValueCompleter {
    labels(|experiment| {
        let problems = experiment.problems.into_iter();
        problems.map(|problem| problem.label).collect()
    })
}

/// The labels of the named experiment's optimizers.
pub fn optimizers() -> ArgValueCompleter {
    labels(|experiment| {
        let optimizers = experiment.optimizers.into_iter();
        optimizers.map(|optimizer| optimizer.label).collect()
    })
}

/// The datasets of the built-in catalogue.
pub fn datasets() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let catalogue = Catalogue::built_in();
        let entries = catalogue.iter().flat_map(Catalogue::iter);
        let named = |(name, title)| CompletionCandidate::new(name).help(Some(title));
        let titled = |entry: &bench_data::Entry| (entry.name.clone(), entry.title.clone().into());
        entries.map(titled).map(named).collect()
    })
}

/// The built-in figures and tables.
pub fn figures() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let catalogue = FigureCatalogue::built_in();
        let entries = catalogue.into_iter().flat_map(|known| known.entries);
        let named = |entry: bench_report::catalogue::FigureEntry| {
            CompletionCandidate::new(entry.id).help(Some(entry.about.into()))
        };
        entries.map(named).collect()
    })
}

/// The built-in claims.
pub fn claims() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let claims = Claims::built_in();
        let claims = claims.into_iter().flat_map(|known| known.claims);
        claims
            .map(|claim| CompletionCandidate::new(claim.id))
            .collect()
    })
}

/// Labels of the experiment that the command line names; where it names none, of every suite.
fn labels(of: fn(Experiment) -> Vec<String>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let labels: BTreeSet<String> = match named_experiment() {
            Some(named) => of(named).into_iter().collect(),
            None => {
                let suites = SUITES.iter().flat_map(|suite| suite.experiment());
                suites.flat_map(of).collect()
            }
        };
        beginning_with(current, labels.into_iter()).collect::<Vec<_>>()
    })
}

/// The first word of the command line to be completed that names an experiment. A shell gives the words after `--`,
/// the program's name first.
fn named_experiment() -> Option<Experiment> {
    let words = std::env::args().skip_while(|word| word != "--").skip(2);
    words
        .filter(|word| !word.starts_with('-'))
        .find_map(|word| as_written(&word).ok())
}

fn beginning_with(
    current: &OsStr,
    names: impl Iterator<Item = String>,
) -> impl Iterator<Item = CompletionCandidate> {
    let typed = current.to_string_lossy().into_owned();
    names
        .filter(move |name| name.starts_with(&typed))
        .map(CompletionCandidate::new)
}
