//! What holds for every model: each parameter gets a gradient, training and evaluation passes
//! differ where they should, and bits do not depend on the number of threads.

use crate::common::{uniform, weighted_sum};
use candle_core::{DType, Device, Tensor, Var};
use models::{Model, ModelSpec, Pass};

/// A model and the shape of its input; a vocabulary stands for tokens.
struct Case {
    spec: &'static str,
    shape: &'static [usize],
    vocabulary: Option<u32>,
}

const fn images(spec: &'static str, shape: &'static [usize]) -> Case {
    Case {
        spec,
        shape,
        vocabulary: None,
    }
}

const fn tokens(spec: &'static str, shape: &'static [usize], vocabulary: u32) -> Case {
    Case {
        spec,
        shape,
        vocabulary: Some(vocabulary),
    }
}

/// All kinds, variants and sizes, those of ImageNet with fewer channels.
const CASES: &[Case] = &[
    images(r#"{"kind": "linear"}"#, &[77, 1, 28, 28]),
    images(r#"{"kind": "logistic"}"#, &[77, 1, 28, 28]),
    images(r#"{"kind": "mlp"}"#, &[77, 1, 28, 28]),
    images(r#"{"kind": "mlp", "activation": "gelu"}"#, &[77, 1, 28, 28]),
    images(r#"{"kind": "lenet"}"#, &[37, 1, 16, 16]),
    images(r#"{"kind": "lenet", "size": 28}"#, &[37, 1, 28, 28]),
    images(
        r#"{"kind": "lenet", "size": 32, "in_channels": 3}"#,
        &[5, 3, 32, 32],
    ),
    images(r#"{"kind": "resnet", "depth": 20}"#, &[19, 3, 16, 16]),
    images(r#"{"kind": "resnet", "depth": 32}"#, &[3, 3, 16, 16]),
    images(r#"{"kind": "resnet", "depth": 44}"#, &[3, 3, 16, 16]),
    images(r#"{"kind": "resnet", "depth": 56}"#, &[3, 3, 16, 16]),
    images(r#"{"kind": "resnet", "variant": "fuse"}"#, &[3, 3, 32, 32]),
    images(
        r#"{"kind": "resnet", "variant": "image-net", "depth": 18, "width": 8}"#,
        &[3, 3, 40, 40],
    ),
    images(
        r#"{"kind": "resnet", "variant": "image-net", "depth": 34, "width": 8}"#,
        &[3, 3, 40, 40],
    ),
    images(
        r#"{"kind": "resnet", "variant": "image-net", "depth": 50, "width": 8}"#,
        &[3, 3, 40, 40],
    ),
    images(r#"{"kind": "densenet", "depth": 5}"#, &[5, 3, 16, 16]),
    images(r#"{"kind": "densenet", "depth": 7}"#, &[5, 3, 16, 16]),
    images(r#"{"kind": "densenet", "depth": 10}"#, &[19, 3, 16, 16]),
    images(
        r#"{"kind": "densenet", "depth": 16, "bottleneck": true}"#,
        &[5, 3, 16, 16],
    ),
    tokens(r#"{"kind": "gpt", "preset": "nano"}"#, &[3, 32], 256),
    tokens(
        r#"{"kind": "gpt", "preset": "nano", "dropout": 0.2}"#,
        &[3, 32],
        256,
    ),
    tokens(
        r#"{"kind": "gpt", "preset": "nano", "dropout": 0.2, "gradient_checkpointing": true}"#,
        &[3, 32],
        256,
    ),
    tokens(
        r#"{"kind": "gpt", "preset": "mini", "vocabulary": 1000}"#,
        &[5, 64],
        1000,
    ),
    tokens(
        r#"{"kind": "gpt", "preset": "small", "layers": 1, "vocabulary": 100, "context": 70}"#,
        &[1, 70],
        100,
    ),
];

impl Case {
    fn build(&self) -> (Box<dyn Model>, Tensor) {
        let spec: ModelSpec = serde_json::from_str(self.spec).unwrap();
        let model = spec.build(5, DType::F32, &Device::Cpu).unwrap();
        let input = match self.vocabulary {
            None => uniform(1, self.shape).to_dtype(DType::F32).unwrap(),
            Some(vocabulary) => crate::common::golden::integers(7, vocabulary, self.shape),
        };
        (model, input)
    }

    fn has(&self, setting: &str) -> bool {
        self.spec.contains(setting)
    }
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// The bits of logits, gradients and buffers of a training pass, and of a language model's loss.
fn train(case: &Case) -> Vec<Vec<u32>> {
    let (model, input) = case.build();
    let logits = model.forward(&input, Pass::Train { seed: 3 }).unwrap();
    let gradients = weighted_sum(&logits).unwrap().backward().unwrap();
    let tensors = model.tensors();
    let gradient = |(_, var): &(_, Var)| bits(gradients.get(var).unwrap());
    let mut all = vec![bits(&logits)];
    all.extend(tensors.parameters.iter().map(gradient));
    all.extend(tensors.buffers.iter().map(|(_, var)| bits(var)));
    if case.vocabulary.is_some() {
        let loss = model.loss(&input, &input, Pass::Train { seed: 3 }).unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = |(_, var): &(_, Var)| bits(gradients.get(var).unwrap());
        all.push(bits(&loss));
        all.extend(tensors.parameters.iter().map(gradient));
    }
    all
}

#[test]
fn every_parameter_gets_a_gradient() {
    for case in CASES {
        let (model, input) = case.build();
        let logits = model.forward(&input, Pass::Train { seed: 3 }).unwrap();
        let gradients = weighted_sum(&logits).unwrap().backward().unwrap();
        for (name, var) in &model.tensors().parameters {
            let gradient = gradients.get(var);
            let gradient = gradient.unwrap_or_else(|| panic!("{}: `{name}` has none", case.spec));
            assert_eq!(gradient.dims(), var.dims(), "{}: `{name}`", case.spec);
            let values: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(
                values.iter().all(|v| v.is_finite()),
                "{}: `{name}`",
                case.spec
            );
            assert!(
                largest > 0.0,
                "{}: the gradient of `{name}` is zero",
                case.spec
            );
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let with_threads = |threads: usize, case: &Case| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| train(case))
    };
    for case in CASES {
        let one = with_threads(1, case);
        for threads in [2, 3, 7] {
            let same = with_threads(threads, case) == one;
            assert!(same, "{}: {threads} threads", case.spec);
        }
    }
}

#[test]
fn evaluation_passes_are_repeatable_and_move_nothing() {
    for case in CASES {
        let (model, input) = case.build();
        let state = || -> Vec<Vec<u32>> {
            let buffers = model.tensors().buffers.iter();
            buffers.map(|(_, var)| bits(var)).collect()
        };
        let evaluate = || bits(&model.forward(&input, Pass::Eval).unwrap());
        let (before, first) = (state(), evaluate());
        assert_eq!(evaluate(), first, "{}", case.spec);
        assert_eq!(state(), before, "{}", case.spec);
        // A training pass moves all running statistics, and evaluation passes then see them.
        model.forward(&input, Pass::Train { seed: 3 }).unwrap();
        let normalized = !before.is_empty();
        assert_eq!(
            normalized,
            case.has("resnet") || case.has("densenet"),
            "{}",
            case.spec
        );
        assert!(
            state().iter().zip(&before).all(|(a, b)| a != b),
            "{}",
            case.spec
        );
        assert_eq!(evaluate() != first, normalized, "{}", case.spec);
    }
}

/// What a rejected trial of a line search does: a training pass, with its gradient, at parameters
/// far away, where nothing stays finite.
#[test]
fn a_pass_that_is_undone_leaves_no_trace() {
    for case in CASES {
        let (untouched, input) = case.build();
        let (tried, _) = case.build();
        let train = |model: &dyn Model, seed| {
            let logits = model.forward(&input, Pass::Train { seed }).unwrap();
            let gradients = weighted_sum(&logits).unwrap().backward().unwrap();
            let parameters = model.tensors().parameters.iter();
            let mut all: Vec<_> = parameters
                .map(|(_, var)| bits(gradients.get(var).unwrap()))
                .collect();
            all.push(bits(&logits));
            all
        };
        train(&*untouched, 1);
        train(&*tried, 1);

        let tensors = tried.tensors();
        let start: Vec<Tensor> = tensors
            .parameters
            .iter()
            .map(|(_, var)| var.as_detached_tensor().copy().unwrap())
            .collect();
        let snapshot = tensors.snapshot_buffers().unwrap();
        for (_, var) in &tensors.parameters {
            var.set(&(var.as_detached_tensor() * 1e30).unwrap())
                .unwrap();
        }
        train(&*tried, 2);
        let finite = |(_, var): &(String, Var)| {
            let values: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            values.iter().all(|value| value.is_finite())
        };
        let normalized = !tensors.buffers.is_empty();
        assert_eq!(
            !tensors.buffers.iter().all(finite),
            normalized,
            "{}",
            case.spec
        );
        for ((_, var), value) in tensors.parameters.iter().zip(&start) {
            var.set(value).unwrap();
        }
        tensors.restore_buffers(&snapshot).unwrap();

        let evaluate = |model: &dyn Model| bits(&model.forward(&input, Pass::Eval).unwrap());
        assert_eq!(evaluate(&*tried), evaluate(&*untouched), "{}", case.spec);
        assert_eq!(train(&*tried, 3), train(&*untouched, 3), "{}", case.spec);
        assert_eq!(evaluate(&*tried), evaluate(&*untouched), "{}", case.spec);
    }
}

#[test]
fn a_snapshot_of_another_model_is_refused() {
    let of = |spec| images(spec, &[1]).build().0;
    let small = of(r#"{"kind": "resnet", "depth": 8, "width": 4}"#);
    let wide = of(r#"{"kind": "resnet", "depth": 8, "width": 8}"#);
    let deep = of(r#"{"kind": "resnet", "depth": 14, "width": 4}"#);
    let snapshot = small.tensors().snapshot_buffers().unwrap();
    let error = |model: &dyn Model| {
        let refused = model.tensors().restore_buffers(&snapshot);
        refused.unwrap_err().to_string()
    };
    assert!(error(&*wide).contains("buffer `bn1.running_mean`"));
    assert!(error(&*deep).contains("14 buffers: expected"));
}

#[test]
fn training_passes_depend_on_their_seed_where_there_is_dropout() {
    for case in CASES {
        let (model, input) = case.build();
        let train = |seed| bits(&model.forward(&input, Pass::Train { seed }).unwrap());
        let (first, again, other) = (train(1), train(1), train(2));
        assert_eq!(first, again, "{}", case.spec);
        let dropout = case.has("dropout") || case.has("small");
        assert_eq!(first != other, dropout, "{}", case.spec);
    }
}

#[test]
fn parameters_are_counted_before_a_model_is_built() {
    for case in CASES {
        let spec: ModelSpec = serde_json::from_str(case.spec).unwrap();
        let model = spec.build(0, DType::F32, &Device::Cpu).unwrap();
        let built = model.tensors().parameter_count() as f64;
        assert_eq!(spec.parameter_count().unwrap(), built, "{}", case.spec);
    }
    for large in [
        r#"{"kind": "linear", "inputs": 18446744073709551615, "classes": 18446744073709551615}"#,
        r#"{"kind": "gpt", "width": 4000000000, "heads": 1, "layers": 18446744073709551615}"#,
        r#"{"kind": "densenet", "depth": 18446744073709551615, "growth": 1000}"#,
    ] {
        let spec: ModelSpec = serde_json::from_str(large).unwrap();
        let refused = spec.build(0, DType::F32, &Device::Cpu).err().unwrap();
        let text = refused.to_string();
        assert!(text.starts_with("parameters = "), "{text}");
        assert!(text.contains("expected at most 1e10"), "{text}");
    }
}
