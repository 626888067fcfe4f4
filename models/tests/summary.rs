//! The description of models: parameters and multiply-adds against PyTorch's own counts, which
//! `golden/multiply_adds.py` writes, and against published figures; names and shapes.

use candle_core::{DType, Device, Tensor};
use models::vision::ResNetConfig;
use models::{ModelSpec, Scope, Summary};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    spec: ModelSpec,
    parameters: usize,
    multiply_adds: u64,
}

fn describe(spec: &str) -> Summary {
    let spec: ModelSpec = serde_json::from_str(spec).unwrap();
    spec.describe().unwrap()
}

#[test]
fn counts_are_those_of_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("golden/multiply_adds.json")).unwrap();
    assert!(golden.cases.len() > 10);
    for case in golden.cases {
        let summary = case.spec.describe().unwrap();
        assert_eq!(summary.parameters(), case.parameters, "{:?}", case.spec);
        assert_eq!(
            summary.multiply_adds(),
            case.multiply_adds,
            "{:?}",
            case.spec
        );
    }
}

/// torchvision lists 1.81 and 4.09 billion operations for these networks (`ResNet18_Weights` and
/// `ResNet50_Weights`); the FUSE authors' networks have the stated numbers of parameters.
#[test]
fn counts_are_those_published() {
    let imagenet = |depth: usize| {
        describe(&format!(
            r#"{{"kind": "resnet", "variant": "image-net", "depth": {depth}, "width": 64, "classes": 1000}}"#
        ))
    };
    let billions = |summary: &Summary| (summary.multiply_adds() as f64 / 1e7).round() / 100.0;
    let (resnet18, resnet50) = (imagenet(18), imagenet(50));
    assert_eq!(resnet18.parameters(), 11_689_512);
    assert_eq!(resnet50.parameters(), 25_557_032);
    assert_eq!(billions(&resnet18), 1.81);
    assert_eq!(billions(&resnet50), 4.09);
    for (spec, parameters) in [
        (r#"{"kind": "densenet", "depth": 5}"#, 4_682),
        (r#"{"kind": "densenet", "depth": 7}"#, 54_842),
        (r#"{"kind": "densenet", "depth": 10}"#, 159_370),
        (r#"{"kind": "resnet", "variant": "fuse"}"#, 3_094_106),
    ] {
        assert_eq!(describe(spec).parameters(), parameters, "{spec}");
    }
}

#[test]
fn layers_have_names_shapes_and_counts() {
    let summary = describe(r#"{"kind": "lenet"}"#);
    let expected = "\
layer  type    output     parameters  multiply-adds
conv1  Conv2d  1×6×12×12         156         21,600
       Pool2d  1×6×6×6             0              0
conv2  Conv2d  1×16×2×2        2,416          9,600
       Pool2d  1×16×1×1            0              0
fc1    Linear  1×120           2,040          1,920
fc2    Linear  1×84           10,164         10,080
fc3    Linear  1×10              850            840
total                         15,626         44,040
";
    assert_eq!(summary.to_string(), expected);
}

#[test]
fn a_shared_weight_counts_once() {
    let spec =
        r#"{"kind": "gpt", "vocabulary": 11, "context": 6, "layers": 1, "heads": 2, "width": 8}"#;
    let summary = describe(spec);
    let rows: Vec<_> = summary
        .layers
        .iter()
        .map(|layer| {
            (
                layer.name.as_str(),
                layer.kind,
                layer.parameters,
                layer.multiply_adds,
            )
        })
        .collect();
    // With t = 6 positions and width d = 8: 3 t d^2, 2 t^2 d, t d^2, 4 t d^2 twice, t d 11.
    assert_eq!(
        rows,
        [
            ("transformer.wte", "Embedding", 88, 0),
            ("transformer.wpe", "Embedding", 48, 0),
            ("transformer.h.0.ln_1", "LayerNorm", 16, 0),
            ("transformer.h.0.attn.c_attn", "Linear", 216, 1152),
            ("", "CausalAttention", 0, 576),
            ("transformer.h.0.attn.c_proj", "Linear", 72, 384),
            ("transformer.h.0.ln_2", "LayerNorm", 16, 0),
            ("transformer.h.0.mlp.c_fc", "Linear", 288, 1536),
            ("transformer.h.0.mlp.c_proj", "Linear", 264, 1536),
            ("transformer.ln_f", "LayerNorm", 16, 0),
            ("transformer.wte", "Linear", 0, 528),
        ]
    );
}

#[test]
fn an_input_that_does_not_fit_is_refused_and_leaves_no_trace() {
    let scope = Scope::new(0, DType::F32, &Device::Cpu);
    let model = ResNetConfig::cifar(8).build(&scope).unwrap();
    let images = |channels| Tensor::zeros((2, channels, 8, 8), DType::F32, &Device::Cpu).unwrap();
    assert!(Summary::new(&model, &images(4)).is_err());
    let summary = Summary::new(&model, &images(3)).unwrap();
    assert_eq!(summary.layers[0].name, "conv1");
    assert_eq!(summary.layers[0].output, [2, 16, 8, 8]);
    assert_eq!(summary, Summary::new(&model, &images(3)).unwrap());
}
