//! `schema`: JSON Schemas of the files that people write, for their editors.

use bench_analysis::claims::Claims;
use bench_data::{Catalogue, schema};
use bench_experiment::spec::Experiment;
use serde_json::Value;

/// A file that people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum File {
    /// Experiment files, with all kinds of problems and optimizers
    Experiment,
    /// The catalogue of datasets, datasets.toml
    Catalogue,
    /// Files of claims
    Claims,
}

/// The schema as text.
pub fn text(file: File) -> String {
    let schema: Value = match file {
        File::Experiment => Experiment::schema(),
        File::Catalogue => Catalogue::schema(),
        File::Claims => schema::of::<Claims>(),
    };
    format!("{schema:#}\n")
}
