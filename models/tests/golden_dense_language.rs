//! The dense classifiers against PyTorch and GPT against Hugging Face's transformers: logits,
//! losses and gradients, with the names and shapes of all tensors. `golden/dense_language.py`
//! writes the values.

use crate::common::golden::{DOUBLE, SINGLE, assert_agrees, classification, integers};
use candle_core::Tensor;
use models::ModelSpec;

fn agrees(name: &str, spec: &str, data: impl Fn(&[usize]) -> (Tensor, Tensor)) {
    let file = include_str!("golden/dense_language.json");
    let spec: ModelSpec = serde_json::from_str(spec).unwrap();
    for precision in [DOUBLE, SINGLE] {
        let build = |scope: &models::Scope| spec.build(0, scope.dtype(), scope.device()).unwrap();
        assert_agrees(file, name, precision, build, &data);
    }
}

fn tokens(vocabulary: u32, shape: &[usize]) -> (Tensor, Tensor) {
    let multiples = |step| integers(step, vocabulary, shape);
    (multiples(7), multiples(5))
}

#[test]
fn linear() {
    let spec = r#"{"kind": "linear"}"#;
    agrees("linear", spec, |shape| classification(10, shape));
}

#[test]
fn logistic_with_its_sigmoid() {
    let spec = r#"{"kind": "logistic"}"#;
    agrees("logistic", spec, |shape| classification(10, shape));
}

#[test]
fn mlp() {
    let spec = r#"{"kind": "mlp"}"#;
    agrees("mlp", spec, |shape| classification(10, shape));
}

#[test]
fn gpt() {
    let spec =
        r#"{"kind": "gpt", "vocabulary": 13, "context": 12, "layers": 2, "heads": 2, "width": 8}"#;
    agrees("gpt", spec, |shape| tokens(13, shape));
}

/// Longer than one block of the attention's queries.
#[test]
fn gpt_over_a_long_context() {
    let spec =
        r#"{"kind": "gpt", "vocabulary": 31, "context": 80, "layers": 3, "heads": 4, "width": 32}"#;
    agrees("gpt-long", spec, |shape| tokens(31, shape));
}
