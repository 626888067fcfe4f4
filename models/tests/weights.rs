//! Weights files: those that torchvision and transformers write, round trips, and files that do not
//! fit. `golden/weights.py` writes the files and logits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::common::golden::{Summary, classification, integers};
use candle_core::{DType, Device, Tensor, safetensors};
use models::language::GptConfig;
use models::vision::ResNetConfig;
use models::{Error, Model, Pass, Scope};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    resnet18: Summary,
    gpt2: Summary,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/weights.json")).unwrap()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn scope(seed: u64) -> Scope {
    Scope::new(seed, DType::F32, &Device::Cpu)
}

fn resnet18(seed: u64) -> impl Model {
    let config = ResNetConfig::imagenet(18).width(2).classes(3);
    config.build(&scope(seed)).unwrap()
}

fn gpt2(seed: u64) -> impl Model {
    let config = GptConfig {
        vocabulary: 13,
        context: 12,
        layers: 2,
        heads: 2,
        width: 8,
        ..GptConfig::default()
    };
    config.build(&scope(seed)).unwrap()
}

fn gpt2_logits(model: &impl Model) -> Tensor {
    model
        .forward(&integers(7, 13, &[3, 10]), Pass::Eval)
        .unwrap()
}

/// The tensors of the public layout, changed, in a new file.
fn changed_gpt2(change: impl FnOnce(&mut HashMap<String, Tensor>)) -> (tempfile::TempDir, PathBuf) {
    let mut tensors = safetensors::load(file("gpt2.safetensors"), &Device::Cpu).unwrap();
    change(&mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.safetensors");
    safetensors::save(&tensors, &path).unwrap();
    (folder, path)
}

#[test]
fn reads_a_resnet_of_torchvision() {
    let model = resnet18(1);
    model
        .tensors()
        .load_safetensors(file("resnet18.safetensors"))
        .unwrap();
    let (images, _) = classification(3, &[2, 3, 64, 64]);
    let images = images.to_dtype(DType::F32).unwrap();
    let logits = model.forward(&images, Pass::Eval).unwrap();
    golden().resnet18.assert_fits("logits", &logits, 1e-5);
}

#[test]
fn reads_a_gpt2_of_transformers() {
    let model = gpt2(1);
    model
        .tensors()
        .load_safetensors(file("gpt2.safetensors"))
        .unwrap();
    golden()
        .gpt2
        .assert_fits("logits", &gpt2_logits(&model), 1e-5);
}

#[test]
fn reads_a_gpt2_with_prefix_and_head() {
    let (_folder, path) = changed_gpt2(|tensors| {
        let head = tensors["wte.weight"].clone();
        *tensors = tensors
            .drain()
            .map(|(name, tensor)| (format!("transformer.{name}"), tensor))
            .collect();
        tensors.insert("lm_head.weight".into(), head);
    });
    let model = gpt2(1);
    model.tensors().load_safetensors(path).unwrap();
    golden()
        .gpt2
        .assert_fits("logits", &gpt2_logits(&model), 1e-5);
}

#[test]
fn a_head_alone_stands_for_the_embedding_that_it_is_tied_to() {
    for prefix in ["", "transformer."] {
        let (_folder, path) = changed_gpt2(|tensors| {
            let head = tensors.remove("wte.weight").unwrap();
            *tensors = tensors
                .drain()
                .map(|(name, tensor)| (format!("{prefix}{name}"), tensor))
                .collect();
            tensors.insert("lm_head.weight".into(), head);
        });
        let model = gpt2(1);
        model.tensors().load_safetensors(path).unwrap();
        golden()
            .gpt2
            .assert_fits("logits", &gpt2_logits(&model), 1e-5);
    }
}

#[test]
fn saved_weights_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let saved = resnet18(1);
    let images = crate::common::uniform(2, &[2, 3, 40, 40])
        .to_dtype(DType::F32)
        .unwrap();
    // A training pass moves the running statistics, which are saved, too.
    saved.forward(&images, Pass::Train { seed: 0 }).unwrap();
    saved.tensors().save_safetensors(&path).unwrap();
    let loaded = resnet18(2);
    loaded.tensors().load_safetensors(&path).unwrap();
    let logits = |model: &dyn Model| -> Vec<Vec<f32>> {
        model
            .forward(&images, Pass::Eval)
            .unwrap()
            .to_vec2()
            .unwrap()
    };
    assert_eq!(logits(&saved), logits(&loaded));
}

#[test]
fn one_error_lists_all_that_does_not_fit() {
    let (_folder, path) = changed_gpt2(|tensors| {
        tensors.remove("h.1.ln_1.bias");
        tensors.remove("ln_f.weight");
        let small = Tensor::zeros((3, 8), DType::F32, &Device::Cpu).unwrap();
        tensors.insert("wpe.weight".into(), small.clone());
        tensors.insert("h.2.ln_1.bias".into(), small.clone());
        tensors.insert("lm_head.weight".into(), small);
    });
    let model = gpt2(1);
    let before = gpt2_logits(&model)
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    let Error::Weights { difference, .. } = model.tensors().load_safetensors(path).unwrap_err()
    else {
        panic!("expected a list of differences");
    };
    assert_eq!(
        difference,
        "missing: transformer.h.1.ln_1.bias, transformer.ln_f.weight; \
         unexpected: lm_head.weight, transformer.h.2.ln_1.bias; \
         mis-shaped: transformer.wpe.weight [3, 8], not [12, 8]"
    );
    let after = gpt2_logits(&model)
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    assert_eq!(before, after);
}

#[test]
fn unreadable_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, b"not tensors").unwrap();
    for path in [path, folder.path().join("absent.safetensors")] {
        let error = gpt2(1).tensors().load_safetensors(&path).unwrap_err();
        assert!(matches!(&error, Error::File { .. }), "{error}");
        assert!(
            error.to_string().starts_with(path.to_str().unwrap()),
            "{error}"
        );
    }
}
