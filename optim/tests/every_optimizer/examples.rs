//! Runs every example; each checks itself what it claims.

#[path = "../../examples/candle_port.rs"]
mod candle_port;
#[path = "../../examples/fine_tuning.rs"]
mod fine_tuning;
#[path = "../../examples/logistic_regression.rs"]
mod logistic_regression;
#[path = "../../examples/mixed_precision.rs"]
mod mixed_precision;
#[path = "../../examples/rosenbrock.rs"]
mod rosenbrock;
#[path = "../../examples/training_recipe.rs"]
mod training_recipe;

#[test]
fn candle_port() {
    candle_port::main().unwrap();
}

#[test]
fn fine_tuning() {
    fine_tuning::main().unwrap();
}

#[test]
fn logistic_regression() {
    logistic_regression::main().unwrap();
}

#[test]
fn mixed_precision() {
    mixed_precision::main().unwrap();
}

#[test]
fn rosenbrock() {
    let folder = tempfile::tempdir().unwrap();
    rosenbrock::run(&folder.path().join("plot.svg")).unwrap();
}

#[test]
fn training_recipe() {
    training_recipe::main().unwrap();
}

#[test]
fn none_is_missing() {
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    for example in examples {
        let name = example.unwrap().file_name().into_string().unwrap();
        let path = format!("#[path = \"../../examples/{name}\"]");
        assert!(include_str!("examples.rs").contains(&path), "{name}");
    }
}
