//! Values at the ends of each number format: none that is not finite gets into parameters or state,
//! and norms, clipping and updates are right as far as the format reaches.

use crate::common::{Analytic, device};
use candle_core::{DType, Device, Tensor, Var};
use half::{bf16, f16};
use optim::{
    AdamConfig, AdamSgdConfig, Clip, Criterion, EpsilonPlacement, FusePv, FusePvConfig, Gradient,
    LionConfig, Meter, NadamwConfig, Optimizer, Oracle, Parameters, ProdigyConfig,
    ScheduleFreeAdamwConfig, SgdConfig, SwatsConfig, SwitchAt, WeightDecay,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::BF16, DType::F16];

fn tensor(values: &[f64], dtype: DType) -> Tensor {
    let values = Tensor::new(values, &Device::Cpu).unwrap();
    values
        .to_dtype(dtype)
        .unwrap()
        .to_device(&device())
        .unwrap()
}

fn parameters(values: &[f64], dtype: DType) -> Parameters {
    Parameters::new([("x", Var::from_tensor(&tensor(values, dtype)).unwrap())]).unwrap()
}

fn gradient(set: &Parameters, values: &[f64]) -> Gradient {
    Gradient::new(set, vec![tensor(values, set.dtype())]).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_device(&Device::Cpu).unwrap();
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// The smallest number above 0, the smallest normal one and the largest finite one.
fn ends(dtype: DType) -> [f64; 3] {
    match dtype {
        DType::F64 => [f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX],
        DType::F32 => [f32::from_bits(1), f32::MIN_POSITIVE, f32::MAX].map(f64::from),
        DType::BF16 => [bf16::from_bits(1), bf16::MIN_POSITIVE, bf16::MAX].map(bf16::to_f64),
        _ => [f16::from_bits(1), f16::MIN_POSITIVE, f16::MAX].map(f16::to_f64),
    }
}

/// One of the format's extreme numbers, of either sign, or an ordinary one.
fn extreme(dtype: DType, choice: usize) -> f64 {
    let [least, normal, most] = ends(dtype);
    let magnitudes = [
        0.0,
        least,
        normal,
        normal.sqrt(),
        1.0,
        most.sqrt(),
        most / 2.0,
        most,
    ];
    let sign = if choice.is_multiple_of(2) { 1.0 } else { -1.0 };
    sign * magnitudes[choice / 2 % magnitudes.len()]
}

const CHOICES: usize = 16;

type Update = Box<dyn FnMut(&Gradient) -> optim::Result<f64>>;

/// First-order optimizers with every feature of their rules, by settings at the ends of their ranges:
/// the update from a given gradient, the state, and the result where it is not the parameters.
fn first_order(
    set: &Parameters,
    kind: usize,
    [rate, decay]: [f64; 2],
) -> Box<dyn FnMut(&Gradient) -> Vec<Tensor>> {
    macro_rules! boxed {
        ($config:expr) => {{
            let mut optimizer = $config.build(set).unwrap();
            Box::new(move |gradient: &Gradient| {
                optimizer.update(gradient).unwrap();
                let state = optimizer.state().unwrap().tensors.into_values();
                let result = optimizer.evaluation_parameters().unwrap();
                state.chain(result.into_iter().flatten()).collect()
            })
        }};
    }
    let adam = AdamConfig {
        learning_rate: rate,
        weight_decay: decay,
        ..AdamConfig::default()
    };
    let sgd = SgdConfig {
        learning_rate: rate,
        weight_decay: decay,
        ..SgdConfig::default()
    };
    match kind {
        0 => boxed!(sgd),
        1 => boxed!(SgdConfig {
            momentum: 0.9,
            dampening: 0.5,
            ..sgd
        }),
        2 => boxed!(SgdConfig {
            momentum: 0.999,
            nesterov: true,
            ..sgd
        }),
        3 => boxed!(adam),
        4 => boxed!(AdamConfig {
            epsilon: 0.0,
            ..adam
        }),
        5 => boxed!(AdamConfig {
            epsilon: 1e300,
            beta1: 0.0,
            beta2: 0.0,
            ..adam
        }),
        6 => boxed!(AdamConfig {
            epsilon: 0.0,
            amsgrad: true,
            weight_decay_kind: WeightDecay::Decoupled,
            ..adam
        }),
        7 => boxed!(AdamConfig {
            epsilon_placement: EpsilonPlacement::Uncorrected,
            beta2: 1.0 - f64::EPSILON / 2.0,
            ..adam
        }),
        8 => boxed!(LionConfig {
            learning_rate: rate,
            weight_decay: decay,
            ..LionConfig::default()
        }),
        9 => boxed!(NadamwConfig {
            learning_rate: rate,
            weight_decay: decay,
            epsilon: 0.0,
            ..NadamwConfig::default()
        }),
        10 => boxed!(ScheduleFreeAdamwConfig {
            learning_rate: rate,
            weight_decay: decay,
            epsilon: 0.0,
            ..ScheduleFreeAdamwConfig::default()
        }),
        11 => boxed!(ScheduleFreeAdamwConfig {
            learning_rate: rate,
            beta1: 0.5,
            beta2: 0.0,
            step_power: 1e3,
            rate_power: 0.0,
            ..ScheduleFreeAdamwConfig::default()
        }),
        12 => boxed!(ProdigyConfig {
            learning_rate: rate,
            weight_decay: decay,
            epsilon: 0.0,
            ..ProdigyConfig::default()
        }),
        13 => boxed!(ProdigyConfig {
            learning_rate: rate,
            d0: 1e300,
            d_coef: 1e300,
            bias_correction: true,
            growth_rate: Some(1e300),
            ..ProdigyConfig::default()
        }),
        14 => boxed!(SwatsConfig {
            learning_rate: rate,
            weight_decay: decay,
            epsilon: 0.0,
            relative_tolerance: 1e300,
            ..SwatsConfig::default()
        }),
        _ => {
            let mut config = AdamSgdConfig::new(SwitchAt::Step(2));
            // The ratio of the two rates is finite.
            config.adam = AdamConfig {
                learning_rate: rate.max(1e-3),
                ..adam
            };
            config.sgd = sgd;
            boxed!(config)
        }
    }
}

const KINDS: usize = 16;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_that_is_not_finite_gets_in(
        dtype in prop::sample::select(DTYPES.to_vec()),
        kind in 0..KINDS,
        settings in prop::sample::select(vec![
            [0.0, 0.0], [1e-3, 0.0], [1e-3, 1e-2], [1.0, 1e300], [1e300, 0.0], [1e300, 1e300],
        ]),
        start in prop::collection::vec(0..CHOICES, 3),
        // Two choices more: infinity and NaN.
        gradients in prop::collection::vec(prop::collection::vec(0..CHOICES + 2, 3), 1..6),
    ) {
        let start: Vec<f64> = start.into_iter().map(|choice| extreme(dtype, choice)).collect();
        let set = parameters(&start, dtype);
        let mut update = first_order(&set, kind, settings);
        for choices in gradients {
            let g: Vec<f64> = choices
                .iter()
                .map(|&choice| match choice {
                    CHOICES => f64::INFINITY,
                    choice if choice > CHOICES => f64::NAN,
                    choice => extreme(dtype, choice),
                })
                .collect();
            let before = values(&set.vars()[0]);
            let state = update(&gradient(&set, &g));
            let after = values(&set.vars()[0]);
            prop_assert!(after.iter().all(|x| x.is_finite()), "{before:?} {g:?} {after:?}");
            for tensor in state {
                let tensor = values(&tensor);
                prop_assert!(tensor.iter().all(|x| x.is_finite()), "{g:?} {tensor:?}");
            }
            for i in (0..3).filter(|&i| !g[i].is_finite()) {
                prop_assert_eq!(before[i].to_bits(), after[i].to_bits());
            }
        }
    }
}

/// What `golden/extremes.py` wrote.
#[derive(Deserialize)]
struct Golden {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    dtype: String,
    optimizer: String,
    config: Value,
    first: f64,
    later: f64,
    points: Vec<f64>,
}

#[test]
fn updates_from_extreme_gradients_are_pytorchs() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/extremes.json")).unwrap();
    for run in golden.runs {
        let (dtype, tolerance) = match run.dtype.as_str() {
            "float32" => (DType::F32, 2e-6),
            _ => (DType::F64, 1e-13),
        };
        let set = parameters(&[1.0], dtype);
        let config = run.config.clone();
        let mut update: Update = if run.optimizer == "adam" {
            let config: AdamConfig = serde_json::from_value(config).unwrap();
            let mut adam = config.build(&set).unwrap();
            Box::new(move |gradient| adam.update(gradient))
        } else {
            let config: SgdConfig = serde_json::from_value(config).unwrap();
            let mut sgd = config.build(&set).unwrap();
            Box::new(move |gradient| sgd.update(gradient))
        };
        for (step, expected) in run.points.iter().enumerate() {
            let g = if step == 0 { run.first } else { run.later };
            update(&gradient(&set, &[g])).unwrap();
            let x = values(&set.vars()[0])[0];
            assert!(
                (x - expected).abs() <= tolerance * expected.abs().max(1.0),
                "{} {} {} {}, step {step}: {x} {expected}",
                run.dtype,
                run.optimizer,
                run.config,
                run.first
            );
        }
    }
}

/// Adam does not depend on the gradient's scale: from any constant gradient above 0 and without ε it
/// goes down by the learning rate at each step. Beyond where the square is held back too.
#[test]
fn adam_moves_by_the_learning_rate_whatever_the_gradient() {
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
        let most = ends(dtype)[2];
        for g in [most.sqrt(), 10.0 * most.sqrt(), most / 3.0, most] {
            let set = parameters(&[1.0], dtype);
            let config = AdamConfig {
                learning_rate: 0.125,
                ..AdamConfig::default()
            };
            let mut adam = config.build(&set).unwrap();
            for step in 1..=4 {
                adam.update(&gradient(&set, &[g])).unwrap();
                let (x, expected) = (values(&set.vars()[0])[0], 1.0 - 0.125 * f64::from(step));
                assert!(
                    (x - expected).abs() <= tolerance,
                    "{dtype:?} {g}: {x} {expected}"
                );
            }
        }
    }
}

#[test]
fn without_epsilon_zero_gradients_move_nothing_but_decay() {
    for dtype in DTYPES {
        let set = parameters(&[2.0], dtype);
        let config = AdamConfig {
            epsilon: 0.0,
            learning_rate: 0.5,
            weight_decay: 0.5,
            weight_decay_kind: WeightDecay::Decoupled,
            ..AdamConfig::default()
        };
        let mut adam = config.build(&set).unwrap();
        adam.update(&gradient(&set, &[0.0])).unwrap();
        assert_eq!(values(&set.vars()[0]), [1.5], "{dtype:?}");
    }
}

/// n elements of size c have the norm c·√n.
#[test]
fn norms_are_right_at_the_ends() {
    for dtype in DTYPES {
        let [least, normal, most] = ends(dtype);
        for c in [
            least,
            normal,
            normal.sqrt(),
            1.0,
            most.sqrt(),
            most / 1024.0,
        ] {
            for n in [1, 9, 40_000] {
                let set = parameters(&vec![0.0; n], dtype);
                let g = gradient(&set, &vec![-c; n]);
                // The element may have been rounded.
                let c = -values(&g.tensors()[0])[0];
                let (norm, expected) = (g.norm().unwrap(), c * (n as f64).sqrt());
                let digits = if dtype == DType::F64 { 1e-12 } else { 1e-6 };
                assert!(
                    (norm - expected).abs() <= digits * expected,
                    "{dtype:?} {n} {c}: {norm}"
                );
                let mut sgd = SgdConfig::default().build(&set).unwrap();
                assert_eq!(sgd.update(&g).unwrap(), norm);
            }
        }
        let set = parameters(&[0.0; 3], dtype);
        assert_eq!(gradient(&set, &[0.0; 3]).norm().unwrap(), 0.0);
        let infinite = gradient(&set, &[1.0, f64::NEG_INFINITY, most]);
        assert_eq!(infinite.norm().unwrap(), f64::INFINITY);
        let unknown = gradient(&set, &[1.0, f64::NAN, f64::INFINITY]);
        assert!(unknown.norm().unwrap().is_nan());
    }
}

/// n equal elements are clipped to bound/√n each.
#[test]
fn clipping_by_norm_keeps_its_digits_at_the_ends() {
    for (dtype, c, n, bound) in [
        (DType::F16, 3e4, 1_000_000, 1.0),
        (DType::F16, 6e4, 40_000, 1e-2),
        (DType::BF16, 1e38, 10_000, 1e-6),
        (DType::F32, 1e38, 10_000, 1e-6),
        (DType::F32, 1e-30, 100, 1e-35),
        (DType::F64, 1e300, 10_000, 1e-10),
        (DType::F64, 1e-300, 100, 1e-305),
    ] {
        let set = parameters(&vec![0.0; n], dtype);
        let g = gradient(&set, &vec![c; n]);
        let clipped = Clip::Norm(bound).apply(g).unwrap();
        let (norm, element) = (clipped.norm().unwrap(), values(&clipped.tensors()[0])[0]);
        let digits = match dtype {
            DType::F64 => 1e-12,
            DType::F32 => 1e-6,
            DType::BF16 => 1e-2,
            _ => 1e-3,
        };
        assert!(
            (norm - bound).abs() <= digits * bound,
            "{dtype:?} {c}: {norm}"
        );
        let expected = bound / (n as f64).sqrt();
        assert!(
            (element - expected).abs() <= digits * expected,
            "{dtype:?} {c}: {element}"
        );
    }
}

#[test]
fn clipping_by_value_leaves_nan_and_bounds_infinity() {
    for dtype in DTYPES {
        let set = parameters(&[0.0; 3], dtype);
        let g = gradient(&set, &[f64::NAN, f64::INFINITY, -ends(dtype)[2]]);
        let clipped = Clip::Value(2.0).apply(g).unwrap();
        let clipped = values(&clipped.tensors()[0]);
        assert!(clipped[0].is_nan(), "{dtype:?}");
        assert_eq!(clipped[1..], [2.0, -2.0], "{dtype:?}");
    }
}

/// An objective that returns the losses and gradients of `script` in turn, the last one for ever.
fn scripted(script: Vec<(f64, f64)>) -> Analytic<impl Fn(&[f64]) -> (f64, Vec<f64>)> {
    let calls = std::cell::Cell::new(0);
    let f = move |_: &[f64]| {
        let (loss, g) = script[calls.get().min(script.len() - 1)];
        calls.set(calls.get() + 1);
        (loss, vec![g])
    };
    Analytic::new(f, &[1.0])
}

/// The step at which `criterion` has the run switch, of at most 12.
fn switch_step(criterion: Criterion, script: &[(f64, f64)]) -> Option<u64> {
    let mut problem = scripted(script.to_vec());
    let config = FusePvConfig {
        criterion,
        ..FusePvConfig::default()
    };
    let mut fuse = config.build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    for _ in 0..12 {
        fuse.step(&mut Oracle::new(&mut problem, &mut meter))
            .unwrap();
    }
    fuse.diagnostics()
        .switches
        .first()
        .map(|switch| switch.step)
}

#[test]
fn criteria_judge_finite_numbers_only() {
    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;
    let relative = || Criterion::GradNorm {
        threshold: 0.5,
        relative: true,
    };
    let absolute = || Criterion::GradNorm {
        threshold: 0.5,
        relative: false,
    };
    let level = || Criterion::LossLevel { threshold: 0.5 };
    let decrease = || Criterion::LossDecrease {
        window: 2,
        min_relative_decrease: 0.1,
    };
    let noise = || Criterion::NoiseScale { threshold: 0.5 };
    let losses =
        |losses: &[f64]| -> Vec<(f64, f64)> { losses.iter().map(|&loss| (loss, 1.0)).collect() };
    let norms = |norms: &[f64]| -> Vec<(f64, f64)> { norms.iter().map(|&g| (1.0, g)).collect() };
    for (criterion, script, expected) in [
        // The first finite norm is the scale: 4, and 1 is below half of it.
        (relative(), norms(&[INF, 4.0, 3.0, 1.0]), Some(4)),
        (relative(), norms(&[NAN, 4.0, 3.0, 1.0]), Some(4)),
        (relative(), norms(&[4.0, NAN, INF, 3.0, 1.0]), Some(5)),
        (relative(), norms(&[INF]), None),
        // A first norm of 0, and what follows.
        (relative(), norms(&[0.0]), Some(1)),
        (absolute(), norms(&[NAN, INF, 1.0, 0.0]), Some(4)),
        (level(), losses(&[NAN, INF, -INF, 1.0, 0.25]), Some(5)),
        // A plateau at exactly 0, and one above it.
        (decrease(), losses(&[0.0]), Some(4)),
        (decrease(), losses(&[3.0]), Some(4)),
        // While a loss among four is not finite it does not fire.
        (decrease(), losses(&[1.0, 1.0, 1.0, NAN, 1.0]), Some(8)),
        (decrease(), losses(&[1.0, 1.0, 1.0, INF, 1.0]), Some(8)),
        (decrease(), losses(&[1.0, 1.0, 1.0, -INF, 1.0]), Some(8)),
        // A bad step does not spoil the running means: without noise the ratio is 0.
        (noise(), norms(&[1.0, 1.0]), Some(2)),
        (noise(), norms(&[NAN, 1.0, 1.0]), Some(3)),
        (noise(), norms(&[INF, 1.0, 1.0]), Some(3)),
        (noise(), norms(&[0.0]), None),
    ] {
        let found = switch_step(criterion.clone(), &script);
        assert_eq!(found, expected, "{criterion:?} {script:?}");
    }
}

fn step(fuse: &mut FusePv, problem: &mut Analytic<impl Fn(&[f64]) -> (f64, Vec<f64>)>) {
    let mut meter = Meter::new();
    fuse.step(&mut Oracle::new(problem, &mut meter)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever losses and gradients a run has seen, it decides after a resume as it would have
    /// without one.
    #[test]
    fn a_criterion_decides_alike_after_a_resume(
        criterion in prop::sample::select(vec![
            Criterion::GradNorm { threshold: 0.5, relative: true },
            Criterion::GradNorm { threshold: 0.5, relative: false },
            Criterion::LossLevel { threshold: 0.5 },
            Criterion::LossDecrease { window: 2, min_relative_decrease: 0.1 },
            Criterion::NoiseScale { threshold: 0.5 },
        ]),
        script in prop::collection::vec((0..7usize, 0..7usize), 8),
        cut in 0..8usize,
    ) {
        const VALUES: [f64; 7] =
            [0.0, 1.0, 0.25, 1e200, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let script: Vec<_> = script.into_iter().map(|(l, g)| (VALUES[l], VALUES[g])).collect();
        // Switches back and forth, so that every decision shows.
        let config = FusePvConfig {
            criterion,
            policy: optim::Policy::Reversible { keep_memory: true },
            lbfgs: optim::LbfgsConfig {
                max_iter: 1,
                line_search: optim::LineSearch::Fixed,
                ..optim::LbfgsConfig::default()
            },
            ..FusePvConfig::default()
        };
        let mut problem = scripted(script.clone());
        let mut undisturbed = config.clone().build(&problem.parameters).unwrap();
        let mut saved = None;
        for t in 0..8 {
            if t == cut {
                let mut state = undisturbed.state().unwrap();
                state.insert_parameters(&problem.parameters).unwrap();
                saved = Some(state);
            }
            step(&mut undisturbed, &mut problem);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        saved.unwrap().save(&path).unwrap();
        let state = optim::state::State::load(&path).unwrap();

        let mut rest = scripted(script[cut..].to_vec());
        let mut resumed = config.build(&rest.parameters).unwrap();
        state.restore_parameters(&rest.parameters).unwrap();
        resumed.restore(&state).unwrap();
        // What was saved comes back as it was.
        let mut again = resumed.state().unwrap();
        again.insert_parameters(&rest.parameters).unwrap();
        prop_assert_eq!(again.metadata.to_string(), state.metadata.to_string());
        for (name, tensor) in &state.tensors {
            let bits = |tensor: &Tensor| -> Vec<u64> {
                values(tensor).into_iter().map(f64::to_bits).collect()
            };
            prop_assert_eq!(bits(&again.tensors[name]), bits(tensor), "{}", name);
        }
        for _ in cut..8 {
            step(&mut resumed, &mut rest);
        }
        let (a, b) = (undisturbed.diagnostics(), resumed.diagnostics());
        prop_assert_eq!(a.switches, b.switches);
        // As text, since NaN is not equal to itself.
        prop_assert_eq!(format!("{:?}", a.criteria), format!("{:?}", b.criteria));
        let bits = |x: Vec<f64>| x.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(problem.values()), bits(rest.values()));
        prop_assert!(rest.values().iter().all(|x| x.is_finite()));
    }
}
