//! Values, gradients, starts and minima against code that others wrote (`golden/generate.py`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use bench_functions::{Function, TestFunction, bbob, classic, find, mgh, scalable};
use serde::Deserialize;

/// Functions that no package has, with the reason why that is no gap.
const WITHOUT_GOLDEN_VALUES: &[(&str, &str)] = &[(
    "double-sum",
    "checked against its matrix in tests/properties.rs",
)];

#[derive(Deserialize)]
struct Values {
    values: Vec<Row>,
    minima: Vec<Minimizer>,
}

#[derive(Deserialize)]
struct Row {
    function: String,
    set: String,
    dimension: usize,
    source: String,
    low: i64,
    high: i64,
    values: Vec<f64>,
    slopes: Vec<f64>,
    start: Option<f64>,
    tolerance: f64,
}

#[derive(Deserialize)]
struct Minimizer {
    function: String,
    dimension: usize,
    value: f64,
    x: Vec<f64>,
}

#[derive(Deserialize)]
struct Bbob {
    low: i64,
    high: i64,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    function: String,
    dimension: usize,
    instance: u64,
    minimum: f64,
    values: Vec<f64>,
}

/// The finalizer of SplitMix64.
fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// The generator's pseudo-random point between two whole numbers, with three decimals.
fn point(dimension: usize, key: u64, low: i64, high: i64) -> Vec<f64> {
    let span = ((high - low) * 1000 + 1) as u64;
    (0..dimension as u64)
        .map(|i| mix((key * 1_000_003 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15)) % span)
        .map(|draw| low as f64 + draw as f64 / 1000.0)
        .collect()
}

fn set(name: &str) -> &'static [&'static TestFunction] {
    match name {
        "classic" => classic::FUNCTIONS,
        "mgh" => mgh::FUNCTIONS,
        "scalable" => scalable::FUNCTIONS,
        _ => panic!("unknown set {name}"),
    }
}

fn values() -> Values {
    serde_json::from_str(include_str!("golden/values.json")).unwrap()
}

fn evaluate(function: &mut Function, x: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![f64::NAN; x.len()];
    let value = function.evaluate(x, &mut gradient);
    (value, gradient)
}

/// The relative difference, or the absolute one for numbers below the size.
fn difference(ours: f64, theirs: f64, size: f64) -> f64 {
    (ours - theirs).abs() / theirs.abs().max(size).max(f64::MIN_POSITIVE)
}

#[test]
fn values_and_gradients_equal_those_of_other_packages() {
    let mut wrong = Vec::new();
    for row in values().values {
        let Row {
            function,
            dimension,
            source,
            ..
        } = &row;
        let mut built = find(set(&row.set), function)
            .unwrap()
            .build(*dimension, 1)
            .unwrap();
        let direction = point(*dimension, 1000, -1, 1);
        for (key, theirs) in (1..).zip(&row.values) {
            let x = point(*dimension, key, row.low, row.high);
            let (value, gradient) = evaluate(&mut built, &x);
            // Cancellation in a gradient leaves an error of its largest part's size.
            let size: f64 = gradient
                .iter()
                .zip(&direction)
                .map(|(g, d)| (g * d).abs())
                .sum();
            let mut checks = vec![("value", difference(value, *theirs, 1e-3))];
            if let Some(slope) = row.slopes.get(key as usize - 1) {
                let ours: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
                checks.push(("slope", difference(ours, *slope, size)));
            }
            for (what, difference) in checks {
                if !(difference < row.tolerance) {
                    wrong.push(format!(
                        "{function}, d = {dimension}, point {key}: {what} {difference:e}, {source}"
                    ));
                }
            }
        }
        if let Some(start) = row.start {
            let x = built.start.clone();
            let difference = difference(evaluate(&mut built, &x).0, start, 1e-3);
            if !(difference < row.tolerance) {
                wrong.push(format!("{function}, d = {dimension}: start {difference:e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_function_has_golden_values_or_a_reason() {
    let golden: BTreeSet<String> = values()
        .values
        .into_iter()
        .map(|row| row.function)
        .collect();
    let reasons: BTreeSet<&str> = WITHOUT_GOLDEN_VALUES
        .iter()
        .map(|(name, _)| *name)
        .collect();
    for function in [classic::FUNCTIONS, mgh::FUNCTIONS, scalable::FUNCTIONS].concat() {
        assert!(
            golden.contains(function.name) != reasons.contains(function.name),
            "{}",
            function.name
        );
    }
}

/// The published minima, at the points where SciPy's BFGS ends on another package's problems.
#[test]
fn published_minima_of_mgh_are_where_others_find_them() {
    let minima = values().minima;
    for Minimizer {
        function,
        dimension,
        value,
        x,
    } in &minima
    {
        let mut built = find(mgh::FUNCTIONS, function)
            .unwrap()
            .build(*dimension, 1)
            .unwrap();
        let (ours, _) = evaluate(&mut built, x);
        assert!(
            difference(ours, *value, 1e-9) < 1e-6,
            "{function}: {ours} {value}"
        );
        if built.minima.is_empty() {
            continue;
        }
        // Published to six digits; BFGS stops a little above the minimum of Watson's function.
        let published = |minimum: &bench_functions::Minimum| {
            (ours - minimum.value).abs() <= 1e-5 * minimum.value + 2e-11
        };
        assert!(
            built.minima.iter().any(published),
            "{function}, d = {dimension}: {ours:e}, published {:?}",
            built.minima
        );
    }
}

#[test]
fn bbob_equals_coco() {
    let golden: Bbob = serde_json::from_str(include_str!("golden/bbob.json")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for group in &golden.groups {
        let Group {
            function,
            dimension,
            instance,
            ..
        } = group;
        let test_function = find(bbob::FUNCTIONS, function).unwrap();
        let mut built = test_function.build(*dimension, *instance).unwrap();
        if built.minimum() != Some(group.minimum) {
            wrong.push(format!("{function}, instance {instance}: minimum"));
        }
        for (key, theirs) in (1..).zip(&group.values) {
            let x = point(*dimension, key, golden.low, golden.high);
            let difference = difference(evaluate(&mut built, &x).0, *theirs, 0.0);
            count += 1;
            if !(difference < 1e-10) {
                wrong.push(format!(
                    "{function}, d = {dimension}, instance {instance}, point {key}: {difference:e}"
                ));
            }
        }
    }
    assert!(count >= 2400);
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
}
