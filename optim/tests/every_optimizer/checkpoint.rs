//! State on disk: bit-identical continuation, and what is refused.

use std::fs;

use crate::common::{Analytic, rosenbrock, rosenbrock_start};
use candle_core::{DType, Device, Tensor, Var};
use optim::state::State;
use optim::{
    AdamConfig, AdamSgdConfig, CurvatureGuard, FuseConfig, FuseContestConfig, Gradient,
    GrowingAdamConfig, LbfgsConfig, LineSearch, LionConfig, Meter, MuonConfig, NadamwConfig,
    Objective, Optimizer, Oracle, PairSource, Parameters, ProdigyConfig, Schedule,
    ScheduleFreeAdamwConfig, Scheduled, SgdConfig, SlsConfig, SoapConfig, SwatsConfig, SwitchAt,
    Theta,
};

const STEPS: u64 = 10;

fn optimizers() -> Vec<(&'static str, fn(&Parameters) -> Box<dyn Optimizer>)> {
    vec![
        ("sgd", |parameters| {
            let config = SgdConfig {
                learning_rate: 1e-4,
                momentum: 0.9,
                dampening: 0.1,
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("sgd without momentum", |parameters| {
            let config = SgdConfig {
                learning_rate: 1e-4,
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("adam", |parameters| {
            Box::new(AdamConfig::adamw().build(parameters).unwrap())
        }),
        ("amsgrad", |parameters| {
            let config = AdamConfig {
                amsgrad: true,
                beta2: 0.5,
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("adam-sgd", |parameters| {
            let mut config = AdamSgdConfig::new(SwitchAt::Epoch(2));
            config.sgd = SgdConfig {
                learning_rate: 1e-4,
                momentum: 0.9,
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("growing-adam", |parameters| {
            let config = GrowingAdamConfig {
                at: 3.into(),
                samples: 512,
                adam: AdamConfig::default(),
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("lion", |parameters| {
            let config = LionConfig {
                weight_decay: 0.1,
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("nadamw", |parameters| {
            Box::new(NadamwConfig::default().build(parameters).unwrap())
        }),
        ("schedule-free-adamw", |parameters| {
            let config = ScheduleFreeAdamwConfig {
                weight_decay: 0.1,
                schedule: Schedule::warm_up_cosine(3.into(), 8.into()),
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("prodigy", |parameters| {
            let config = ProdigyConfig {
                d0: 1e-3,
                weight_decay: 0.1,
                growth_rate: Some(2.0),
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("swats", |parameters| {
            let config = SwatsConfig {
                learning_rate: 0.01,
                relative_tolerance: 0.5,
                schedule: Schedule::warm_up_cosine(3.into(), 8.into()),
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("sls", |parameters| {
            Box::new(SlsConfig::default().build(parameters).unwrap())
        }),
        ("muon without matrices", |parameters| {
            Box::new(MuonConfig::default().build(parameters).unwrap())
        }),
        ("soap", |parameters| {
            let config = SoapConfig {
                precondition_vectors: true,
                frequency: 3,
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("scheduled", |parameters| {
            let config = AdamConfig {
                learning_rate: 0.1,
                ..Default::default()
            };
            let schedule = Schedule::WarmUp {
                steps: 3.into(),
                start_factor: 0.1,
                then: Box::new(Schedule::Cosine {
                    steps: 7.into(),
                    final_factor: 0.0,
                }),
            };
            Box::new(Scheduled::new(config.build(parameters).unwrap(), schedule).unwrap())
        }),
        ("fuse-contest", |parameters| {
            let config = FuseContestConfig {
                first: 2,
                shortest: 3,
                growth: 1.3,
                lbfgs: LbfgsConfig {
                    max_iter: 2,
                    ..Default::default()
                },
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("lbfgs", |parameters| {
            let config = LbfgsConfig {
                max_iter: 2,
                history_size: 3,
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("lbfgs of fixed steps", |parameters| {
            let config = LbfgsConfig {
                max_iter: 2,
                lr: 1e-3,
                line_search: LineSearch::Fixed,
                pairs: PairSource::FullOverlap,
                guard: CurvatureGuard::Powell(0.2),
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
        ("fuse", |parameters| {
            let config = FuseConfig {
                theta: Theta::Linear {
                    from: 1.0,
                    to: 0.0,
                    steps: 6,
                },
                lbfgs: LbfgsConfig {
                    max_iter: 2,
                    pairs: PairSource::Carried,
                    ..Default::default()
                },
                ..Default::default()
            };
            Box::new(config.build(parameters).unwrap())
        }),
    ]
}

fn problem(dtype: DType) -> Analytic<fn(&[f64]) -> (f64, Vec<f64>)> {
    Analytic::with_dtype(rosenbrock, &rosenbrock_start(5), dtype)
}

/// An objective that gives NaN or infinity in some steps: in its loss, or in a gradient component.
struct Spoiled<'a> {
    problem: &'a mut Analytic<fn(&[f64]) -> (f64, Vec<f64>)>,
    step: u64,
}

impl Objective for Spoiled<'_> {
    fn loss(&mut self) -> optim::Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        let (loss, gradient) = self.problem.loss_and_gradient()?;
        let component = match self.step {
            1 | 5 => return Ok((f64::NAN, gradient)),
            2 => f64::NAN,
            6 => f64::INFINITY,
            7 => return Ok((f64::NEG_INFINITY, gradient)),
            _ => return Ok((loss, gradient)),
        };
        let tensor = &gradient.tensors()[0];
        let mut values = tensor
            .to_dtype(DType::F64)?
            .to_device(&Device::Cpu)?
            .to_vec1()?;
        values[1] = component;
        let spoiled = Tensor::new(values, &Device::Cpu)?.to_dtype(tensor.dtype())?;
        let spoiled = spoiled.to_device(tensor.device())?;
        Ok((
            loss,
            Gradient::new(&self.problem.parameters, vec![spoiled])?,
        ))
    }
}

/// Makes steps `from..to`, in epochs of three steps; the learning rate changes once by hand.
fn train(
    optimizer: &mut dyn Optimizer,
    problem: &mut Analytic<fn(&[f64]) -> (f64, Vec<f64>)>,
    spoil: bool,
    from: u64,
    to: u64,
) {
    let mut meter = Meter::new();
    for t in from..to {
        if t % 3 == 0 {
            optimizer.start_epoch(t / 3);
        }
        if t == 4 {
            let rate = optimizer.learning_rate();
            optimizer.set_learning_rate(rate * 0.7).unwrap();
        }
        let mut spoiled = Spoiled { problem, step: t };
        let objective: &mut dyn Objective = match spoil {
            true => &mut spoiled,
            false => spoiled.problem,
        };
        optimizer
            .step(&mut Oracle::new(objective, &mut meter))
            .unwrap();
    }
}

/// Where the result is measured, if not at the parameters.
fn result(optimizer: &dyn Optimizer) -> Option<Vec<f64>> {
    let values = optimizer.evaluation_parameters().unwrap()?;
    let values = values[0].to_device(&Device::Cpu).unwrap();
    Some(values.to_dtype(DType::F64).unwrap().to_vec1().unwrap())
}

#[test]
fn a_continued_run_equals_one_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for (name, build) in optimizers() {
        let dtypes = [DType::F32, DType::F64, DType::BF16, DType::F16];
        for (dtype, spoil) in dtypes
            .into_iter()
            .flat_map(|dtype| [(dtype, false), (dtype, true)])
        {
            let mut uninterrupted = problem(dtype);
            let mut optimizer = build(&uninterrupted.parameters);
            train(&mut *optimizer, &mut uninterrupted, spoil, 0, STEPS);
            for stop in 0..STEPS {
                let mut first = problem(dtype);
                let mut before = build(&first.parameters);
                train(&mut *before, &mut first, spoil, 0, stop);
                let mut state = before.state().unwrap();
                state.insert_parameters(&first.parameters).unwrap();
                state.save(&path).unwrap();

                let mut second = problem(dtype);
                let mut after = build(&second.parameters);
                let state = State::load(&path).unwrap();
                state.restore_parameters(&second.parameters).unwrap();
                after.restore(&state).unwrap();
                assert_eq!(after.vector_passes(), before.vector_passes());
                train(&mut *after, &mut second, spoil, stop, STEPS);

                let label = format!("{name}, {dtype:?}, {spoil}, stopped at {stop}");
                assert_eq!(second.values(), uninterrupted.values(), "{label}");
                assert_eq!(after.learning_rate(), optimizer.learning_rate(), "{label}");
                assert_eq!(after.vector_passes(), optimizer.vector_passes(), "{label}");
                assert_eq!(result(&*after), result(&*optimizer), "{label}");
            }
        }
    }
    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert_eq!(left.len(), 1, "temporary files are left: {left:?}");
}

fn parameters(named: &[(&str, usize)]) -> Parameters {
    let vars = named.iter().map(|(name, length)| {
        let zeros = Tensor::zeros(*length, DType::F32, &Device::Cpu).unwrap();
        (*name, Var::from_tensor(&zeros).unwrap())
    });
    Parameters::new(vars).unwrap()
}

#[test]
fn a_state_that_does_not_fit_is_refused_with_the_first_difference() {
    let model = parameters(&[("a", 2), ("b", 3)]);
    let state = AdamConfig::default()
        .build(&model)
        .unwrap()
        .state()
        .unwrap();
    let restore = |config: AdamConfig, parameters: &Parameters| {
        let error = config
            .build(parameters)
            .unwrap()
            .restore(&state)
            .unwrap_err();
        error.to_string()
    };
    let adam = AdamConfig::default;
    for (found, expected) in [
        (
            restore(adam(), &parameters(&[("a", 2), ("c", 3)])),
            "it has parameter `b` where the model has `c`",
        ),
        (
            restore(adam(), &parameters(&[("a", 2), ("b", 4)])),
            "parameter `b` has shape [3] in it, [4] in the model",
        ),
        (
            restore(adam(), &parameters(&[("a", 2)])),
            "it has parameter `b`, which the model lacks",
        ),
        (
            restore(adam(), &parameters(&[("a", 2), ("b", 3), ("c", 1)])),
            "it lacks the model's parameter `c`",
        ),
        (
            restore(
                AdamConfig {
                    beta1: 0.8,
                    ..adam()
                },
                &model,
            ),
            "config.beta1 is 0.9 in it, 0.8 in this optimizer",
        ),
        (
            SgdConfig::default()
                .build(&model)
                .unwrap()
                .restore(&state)
                .unwrap_err()
                .to_string(),
            "it is of optimizer `adam`, not `sgd`",
        ),
    ] {
        assert_eq!(found, format!("checkpoint does not fit: {expected}"));
    }
    let mut lacking = state.clone();
    lacking.tensors.remove("v.b");
    let error = adam().build(&model).unwrap().restore(&lacking).unwrap_err();
    assert_eq!(
        error.to_string(),
        "checkpoint does not fit: tensor `v.b` is missing"
    );
}

#[test]
fn files_that_are_no_state_are_refused_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let model = parameters(&[("a", 2), ("b", 3)]);
    let adam = AdamConfig::default().build(&model).unwrap();
    adam.state().unwrap().save(&path).unwrap();
    let complete = fs::read(&path).unwrap();
    let refused = || {
        let message = State::load(&path).unwrap_err().to_string();
        assert!(message.starts_with(&*path.to_string_lossy()), "{message}");
        message
    };

    for length in 0..complete.len() {
        fs::write(&path, &complete[..length]).unwrap();
        assert!(
            refused().contains("not a complete optimizer state"),
            "{length} bytes"
        );
    }
    fs::write(&path, b"PK\x03\x04 is the start of a zip file").unwrap();
    assert!(refused().contains("not a complete optimizer state"));
    fs::remove_file(&path).unwrap();
    refused();

    let a = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    candle_core::safetensors::save(&[("a", a)].into(), &path).unwrap();
    assert!(refused().contains("its header has no `format`"));

    let version = br#""version":"1""#;
    let at = complete
        .windows(version.len())
        .position(|bytes| bytes == version);
    let mut newer = complete.clone();
    newer[at.unwrap() + version.len() - 2] = b'2';
    fs::write(&path, newer).unwrap();
    assert!(refused().contains("format version 2 is newer than 1"));
}

#[test]
fn a_failed_save_leaves_the_earlier_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = parameters(&[("a", 2)]);
    let state = AdamConfig::default()
        .build(&model)
        .unwrap()
        .state()
        .unwrap();
    let missing = folder
        .path()
        .join("no-such-folder")
        .join("state.safetensors");
    let message = state.save(&missing).unwrap_err().to_string();
    assert!(
        message.starts_with(&*missing.to_string_lossy()),
        "{message}"
    );
    // A folder cannot be replaced by a file: the rename fails after the temporary file is written.
    let folder_at_path = folder.path().join("folder");
    fs::create_dir_all(folder_at_path.join("inside")).unwrap();
    state.save(&folder_at_path).unwrap_err();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    assert!(folder_at_path.join("inside").exists());
}
