//! The schemas that `schema` prints: every file of ours is valid by them, and a slip is not.

use std::path::Path;

use bench_experiment::problem::MODELS;
use bench_experiment::spec::{Experiment, SUITES};
use jsonschema::Validator;
use serde_json::Value;

use crate::program;

fn validator(file: &str) -> Validator {
    let folder = tempfile::tempdir().unwrap();
    let output = program::bench_runner(folder.path(), &["schema", file]).output();
    let schema: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// What is wrong with a file's text.
fn faults(validator: &Validator, text: &str) -> Vec<String> {
    let value: toml::Value = toml::from_str(text).unwrap();
    let value = serde_json::to_value(value).unwrap();
    let faults = validator.iter_errors(&value);
    faults
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect()
}

#[test]
fn the_listed_models_are_those_that_are_read() {
    let schema = bench_data::schema::of::<models::ModelSpec>();
    let kinds = schema["anyOf"].as_array().unwrap();
    let read: Vec<&str> = kinds
        .iter()
        .map(|kind| kind["properties"]["kind"]["const"].as_str().unwrap())
        .collect();
    let listed: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, read);
}

#[test]
fn every_suite_is_valid_and_what_the_schema_refuses_is_refused_by_the_reader() {
    let validator = validator("experiment");
    for suite in SUITES {
        assert_eq!(faults(&validator, suite.text), [""; 0], "{}", suite.name);
    }
    let text = include_str!("../src/cli/init.toml");
    assert_eq!(faults(&validator, text), [""; 0]);
    let slips = [
        ("seeds = 3", "seed = 3"),
        ("seeds = 3", "seeds = \"three\""),
        ("budget = 600", "budgets = 600"),
        ("budget = 600", "budget = \"much\""),
        ("dimension = 20", "dimensions = 20"),
        ("dimension = 20", "dimension = \"20\""),
        ("batch_size = 64", "batchsize = 64"),
        ("kind = \"adam\"", "kind = \"adamm\""),
        ("learning_rate = 0.01\n", "learning_rat = 0.01\n"),
        ("learning_rate = 0.01\n", "learning_rate = \"0.01\"\n"),
        (
            "criterion = { budget = 0.25 }",
            "criterion = { budge = 0.25 }",
        ),
        (
            "criterion = { budget = 0.25 }",
            "criterion = { budget = true }",
        ),
        ("adam = { learning_rate", "adam = { rate"),
        (
            "model = { kind = \"mlp\", inputs",
            "model = { kind = \"mlq\", inputs",
        ),
        (
            "model = { kind = \"mlp\", inputs",
            "model = { kind = \"mlp\", input",
        ),
    ];
    for (right, wrong) in slips {
        assert!(text.contains(right), "{right}");
        let text = text.replacen(right, wrong, 1);
        assert!(!faults(&validator, &text).is_empty(), "{wrong} passes");
        assert!(
            Experiment::parse(&text, Path::new("x.toml")).is_err(),
            "{wrong} is read"
        );
    }
}

#[test]
fn the_catalogue_and_the_claims_are_valid_and_unknown_keys_are_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (kind, name, key) in [
        ("catalogue", "datasets.toml", "\ntitle ="),
        ("claims", "reports/claims.toml", "\nstatement ="),
        ("claims", "reports/claims-pinn.toml", "\nstatement ="),
        ("claims", "reports/claims-contest.toml", "\nstatement ="),
        ("claims", "reports/claims-auto.toml", "\nstatement ="),
        ("claims", "reports/claims-held-out.toml", "\nstatement ="),
        (
            "claims",
            "reports/claims-held-out-falling.toml",
            "\nstatement =",
        ),
        ("claims", "reports/claims-smooth.toml", "\nstatement ="),
        ("claims", "reports/claims-batch.toml", "\nstatement ="),
    ] {
        let validator = validator(kind);
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        assert_eq!(faults(&validator, &text), [""; 0], "{name}");
        let slip = text.replacen(key, &format!("\nunknown = 1{key}"), 1);
        assert!(
            text.contains(key) && !faults(&validator, &slip).is_empty(),
            "{name}"
        );
    }
}
