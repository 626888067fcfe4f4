//! `describe`: the problems of an experiment, with the layers of their networks.

use std::io::Write;

use bench_data::Library;
use bench_experiment::spec::ProblemEntry;
use clap::Parser;

use super::complete;
use super::input::experiment;
use super::terminal::{print, spinner};
use crate::error::Result;

#[derive(Debug, Parser)]
pub struct Describe {
    /// A built-in suite's name or an experiment file
    #[arg(value_name = "SUITE|FILE.toml", add = complete::experiments())]
    experiment: String,
    /// The labels of problems [default: all]
    #[arg(value_name = "PROBLEM", add = complete::problems())]
    problems: Vec<String>,
}

/// Prints titles, data, budgets and layers. Reads no data.
///
/// # Errors
/// When the experiment, a label or a dataset is unknown, or samples do not fit their network.
pub fn describe(options: &Describe, library: &Library, out: &mut impl Write) -> Result<()> {
    let experiment = experiment(&options.experiment, library.catalogue())?;
    let problems: Vec<&ProblemEntry> = if options.problems.is_empty() {
        experiment.problems.iter().collect()
    } else {
        let labels = options.problems.iter();
        let problems = labels.map(|label| experiment.problem(label));
        problems.collect::<bench_experiment::Result<_>>()?
    };
    for (i, problem) in problems.into_iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        print(out, &format!("{gap}{}", heading(problem)))?;
        let spinner = spinner(&problem.label);
        let layers = problem.config.describe(library.catalogue());
        spinner.finish_and_clear();
        let layers = layers.map_err(|source| bench_experiment::Error::Misfit {
            problem: problem.label.clone(),
            source: Box::new(source),
        })?;
        if let Some(layers) = layers {
            print(out, &format!("\n{layers}"))?;
        }
    }
    Ok(())
}

fn heading(problem: &ProblemEntry) -> String {
    let mut budget = format!("at most {} evaluations", problem.budget);
    if let Some(epochs) = problem.epochs {
        budget += &format!(", {epochs} epochs");
    }
    if let Some(seconds) = problem.seconds {
        budget += &format!(", {seconds} s");
    }
    let target = problem.target.map_or_else(
        || "none".into(),
        |target| format!("a loss of at most {target}"),
    );
    format!(
        "{}\n  {}\n  loss: {}\n  budget: {budget}; target: {target}\n",
        problem.label,
        problem.config.title(),
        problem.config.loss_name(),
    )
}
