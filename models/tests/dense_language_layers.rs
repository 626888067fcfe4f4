//! Linear maps, activations, layer normalisation, embeddings, dropout, attention and the loss:
//! gradients against finite differences over random shapes, and closed forms.

use crate::common::{assert_gradients, uniform, variable, weighted_sum};
use candle_core::{DType, Device, Tensor, Var};
use models::layer::{
    Activation, CausalAttention, Dropout, EmbeddingConfig, LayerNormConfig, LinearConfig,
    WeightLayout,
};
use models::loss::CrossEntropy;
use models::{Init, Pass, Scope};
use proptest::prelude::*;

fn scope() -> Scope {
    Scope::new(3, DType::F64, &Device::Cpu)
}

/// The parameters made in a scope, and an input.
fn with_input(scope: &Scope, input: &Var) -> Vec<(String, Var)> {
    let mut variables = scope.clone().into_tensors().parameters;
    variables.push(("input".into(), input.clone()));
    variables
}

fn check(variables: &[(String, Var)], loss: impl Fn() -> candle_core::Result<Tensor>) {
    assert_gradients(
        variables.iter().map(|(name, var)| (name.as_str(), var)),
        loss,
    );
}

const ACTIVATIONS: [Activation; 3] = [Activation::Relu, Activation::Gelu, Activation::GeluErf];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn linear_gradients(
        batch in 1usize..5, time in 1usize..4, inputs in 1usize..9, outputs in 1usize..9,
        bias: bool, transposed: bool, activation in proptest::option::of(0usize..3),
    ) {
        let scope = scope();
        let layout = if transposed { WeightLayout::InputOutput } else { WeightLayout::OutputInput };
        let config = LinearConfig { bias, layout, ..LinearConfig::new(inputs, outputs) };
        let linear = config.build(&scope).unwrap();
        let input = variable(1, &[batch, time, inputs]);
        check(&with_input(&scope, &input), || {
            let output = match activation {
                Some(index) => linear.forward_activated(ACTIVATIONS[index], &input)?,
                None => linear.forward(&input)?,
            };
            assert_eq!(output.dims(), [batch, time, outputs]);
            weighted_sum(&output)
        });
    }

    #[test]
    fn layer_norm_gradients(rows in 1usize..6, width in 2usize..40) {
        let scope = scope();
        let norm = LayerNormConfig::new(width).build(&scope).unwrap();
        let parameters = with_input(&scope, &variable(4, &[rows, width]));
        for (seed, (_, var)) in parameters.iter().enumerate() {
            var.set(&uniform(seed as u64, var.dims())).unwrap();
        }
        let input = parameters.last().unwrap().1.clone();
        check(&parameters, || weighted_sum(&norm.forward(&input)?));
    }

    #[test]
    fn attention_gradients(
        batch in 1usize..3, time in 1usize..9, heads in 1usize..4, head_width in 1usize..5,
        rate in prop_oneof![Just(0.0), Just(0.3)],
    ) {
        let scope = scope();
        let dropout = Dropout::new(rate, &scope.child("drop")).unwrap();
        let attention = CausalAttention { heads, dropout };
        let input = variable(5, &[batch, time, 3 * heads * head_width]);
        check(&with_input(&scope, &input), || {
            let doubled = (input.as_tensor() * 2.0)?;
            weighted_sum(&attention.forward(&doubled, Pass::Train { seed: 2 })?)
        });
    }

    #[test]
    fn embedding_gradients(count in 1usize..7, width in 1usize..6, ids in proptest::collection::vec(0u32..1000, 1..9)) {
        let scope = scope();
        let embedding = EmbeddingConfig::new(count, width).build(&scope).unwrap();
        let ids: Vec<u32> = ids.into_iter().map(|id| id % count as u32).collect();
        let ids = Tensor::new(ids, &Device::Cpu).unwrap();
        let parameters = scope.into_tensors().parameters;
        check(&parameters, || weighted_sum(&embedding.forward(&ids)?));
    }

    #[test]
    fn cross_entropy_gradients(
        rows in 1usize..6, classes in 1usize..20, smoothing in prop_oneof![Just(0.0), 0.0..1.0f64],
        ignored: bool,
    ) {
        let scope = scope();
        let logits = variable(6, &[rows, 2, classes]);
        let targets: Vec<i64> = (0..2 * rows)
            .map(|i| if ignored && i % 3 == 1 { -100 } else { (i * 7 % classes) as i64 })
            .collect();
        let targets = Tensor::from_vec(targets, (rows, 2), &Device::Cpu).unwrap();
        let loss = CrossEntropy::default()
            .with_ignore_index(-100)
            .with_label_smoothing(smoothing)
            .unwrap();
        check(&with_input(&scope, &logits), || loss.forward(&(logits.as_tensor() * 3.0)?, &targets)? * 2.0);
    }

    #[test]
    fn dropout_gradients(rows in 1usize..6, columns in 1usize..9, rate in 0.0..0.9f64, seed: u64) {
        let scope = scope();
        let dropout = Dropout::new(rate, &scope).unwrap();
        let input = variable(8, &[rows, columns]);
        check(&with_input(&scope, &input), || {
            weighted_sum(&dropout.forward(&input, Pass::Train { seed })?)
        });
    }

    #[test]
    fn activation_gradients(rows in 1usize..6, columns in 1usize..9) {
        for activation in ACTIVATIONS {
            let input = variable(9, &[rows, columns]);
            check(&with_input(&scope(), &input), || {
                weighted_sum(&activation.forward(&(input.as_tensor() * 4.0)?)?)
            });
        }
    }
}

/// More queries than one block holds.
#[test]
fn long_attention_gradients() {
    let scope = scope();
    let dropout = Dropout::new(0.1, &scope.child("drop")).unwrap();
    let attention = CausalAttention { heads: 2, dropout };
    let input = variable(5, &[1, 150, 3 * 2 * 4]);
    check(&with_input(&scope, &input), || {
        weighted_sum(&attention.forward(&input, Pass::Train { seed: 2 })?)
    });
}

#[test]
fn attention_sees_no_later_position() {
    let dropout = Dropout::new(0.0, &scope()).unwrap();
    let attention = CausalAttention { heads: 2, dropout };
    let input = uniform(1, &[1, 130, 12]);
    let whole = attention.forward(&input, Pass::Eval).unwrap();
    for time in [1, 63, 64, 65, 129] {
        let start = input.narrow(1, 0, time).unwrap();
        let part = attention.forward(&start, Pass::Eval).unwrap();
        let expected = whole.narrow(1, 0, time).unwrap();
        assert!(crate::common::distance(&part, &expected) < 1e-12);
    }
}

#[test]
fn relu_keeps_nan_and_has_no_gradient_at_zero() {
    let input = Var::new(&[f64::NAN, 0.0, -0.0, -1.0, 2.0], &Device::Cpu).unwrap();
    let output = Activation::Relu.forward(&input).unwrap();
    let gradients = output.sum_all().unwrap().backward().unwrap();
    let output = output.to_vec1::<f64>().unwrap();
    assert!(output[0].is_nan());
    assert_eq!(output[1..], [0.0, 0.0, 0.0, 2.0]);
    let gradient = gradients.get(&input).unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(gradient[1..], [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn dropout_depends_on_pass_seed_and_layer_and_keeps_the_mean() {
    let scope = scope();
    let first = Dropout::new(0.25, &scope.child("first")).unwrap();
    let second = Dropout::new(0.25, &scope.child("second")).unwrap();
    let ones = Tensor::ones(100_000, DType::F64, &Device::Cpu).unwrap();
    let draw = |layer: &Dropout, pass| {
        layer
            .forward(&ones, pass)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    let values = draw(&first, Pass::Train { seed: 1 });
    assert_eq!(values, draw(&first, Pass::Train { seed: 1 }));
    assert_ne!(values, draw(&first, Pass::Train { seed: 2 }));
    assert_ne!(values, draw(&second, Pass::Train { seed: 1 }));
    assert_eq!(draw(&first, Pass::Eval), vec![1.0; 100_000]);
    assert!(
        values
            .iter()
            .all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-12)
    );
    let dropped = values.iter().filter(|v| **v == 0.0).count() as f64 / 1e5;
    // Five standard deviations of a binomial fraction.
    assert!((dropped - 0.25).abs() < 5.0 * (0.25f64 * 0.75 / 1e5).sqrt());
}

#[test]
fn the_loss_names_what_it_refuses() {
    let logits = uniform(1, &[2, 3]);
    let loss = |targets: &[i64]| {
        let targets = Tensor::new(targets, &Device::Cpu).unwrap();
        CrossEntropy::default()
            .with_ignore_index(-1)
            .forward(&logits, &targets)
    };
    let message = loss(&[0, 3]).unwrap_err().to_string();
    assert!(
        message.contains("target 3 at position 1 is not one of 3 classes"),
        "{message}"
    );
    let message = loss(&[-1, -1]).unwrap_err().to_string();
    assert!(message.contains("no target that counts"), "{message}");
    assert!(loss(&[-1, 2]).is_ok());
    assert!(loss(&[1]).is_err());
    assert!(CrossEntropy::default().with_label_smoothing(1.5).is_err());
}

#[test]
fn layers_refuse_invalid_settings() {
    assert!(LinearConfig::new(0, 3).build(&scope()).is_err());
    assert!(LayerNormConfig::new(0).build(&scope()).is_err());
    assert!(
        LayerNormConfig {
            eps: f64::NAN,
            ..LayerNormConfig::new(2)
        }
        .build(&scope())
        .is_err()
    );
    assert!(EmbeddingConfig::new(0, 3).build(&scope()).is_err());
    assert!(Dropout::new(1.0, &scope()).is_err());
    let embedding = EmbeddingConfig {
        init: Init::Constant(1.0),
        ..EmbeddingConfig::new(2, 3)
    };
    let embedding = embedding.build(&scope()).unwrap();
    let ids = Tensor::new(&[2u32], &Device::Cpu).unwrap();
    let message = embedding.forward(&ids).unwrap_err().to_string();
    assert!(message.contains("index 2 is not below 2"), "{message}");
}
