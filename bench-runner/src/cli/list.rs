//! `list`: suites, datasets, and the kinds of problems, models and optimizers.

use bench_data::Catalogue;
use bench_experiment::optimizer::{CRITERIA, OptimizerConfig};
use bench_experiment::problem::{MODELS, ProblemConfig};
use bench_experiment::spec::{SUITES, Suite};

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Listing {
    Suites,
    Problems,
    Models,
    Datasets,
    Optimizers,
    Criteria,
}

/// The list as text; everything where nothing is chosen.
pub fn list(what: Option<Listing>, catalogue: &Catalogue) -> String {
    let mut text = String::new();
    let mut section = |listing: Listing, title: &str, rows: Vec<(String, String)>| {
        if what.is_some_and(|wanted| wanted != listing) {
            return;
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        text += &format!("{title}\n");
        for (name, description) in rows {
            text += &format!("  {name:<width$}  {description}\n");
        }
    };
    let own = |(name, description): &(&str, &str)| (name.to_string(), description.to_string());
    section(
        Listing::Suites,
        "Suites",
        SUITES.iter().map(suite_row).collect(),
    );
    section(
        Listing::Problems,
        "Problems (`kind` in [[problem]])",
        ProblemConfig::kinds()
            .iter()
            .flat_map(|kind| rows(kind.name, kind.about, &kind.members))
            .collect(),
    );
    section(
        Listing::Models,
        "Models (`kind` in `model`)",
        MODELS.iter().map(own).collect(),
    );
    section(
        Listing::Datasets,
        "Datasets (`data` in [[problem]])",
        catalogue
            .iter()
            .map(|entry| (entry.name.clone(), entry.title.clone()))
            .collect(),
    );
    section(
        Listing::Optimizers,
        "Optimizers (`kind` in [[optimizer]])",
        OptimizerConfig::kinds()
            .iter()
            .flat_map(|kind| rows(kind.name, kind.about, &kind.members))
            .collect(),
    );
    section(
        Listing::Criteria,
        "Criteria (`criterion` of fuse-pv)",
        CRITERIA.iter().map(own).collect(),
    );
    text
}

fn suite_row(suite: &Suite) -> (String, String) {
    let description = suite.experiment().map_or_else(
        |error| error.to_string(),
        |experiment| experiment.description,
    );
    (suite.name.into(), description)
}

/// A kind, and below it what its settings choose from.
fn rows(name: &str, about: &str, members: &[(String, String)]) -> Vec<(String, String)> {
    let own = [(name.to_owned(), about.to_owned())];
    let below = members.iter();
    let below = below.map(|(name, title)| (format!("  {name}"), title.clone()));
    own.into_iter().chain(below).collect()
}
