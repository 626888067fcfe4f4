//! What first-order optimizers promise beyond their formulas: refusals, costs, and what happens
//! with numbers that are not finite.

use crate::common::{Analytic, quadratic, rosenbrock, rosenbrock_start};
use candle_core::{DType, Device, Tensor, Var};
use optim::{
    AdamConfig, AdamSgdConfig, Clip, Counts, Error, Gradient, GrowingAdamConfig, Length,
    LionConfig, LookAhead, Loss, Meter, NadamwConfig, Objective, Optimizer, Oracle, ParameterGroup,
    Parameters, Phase, ProdigyConfig, Schedule, ScheduleFreeAdamwConfig, Scheduled, SgdConfig,
    StopReason, SwatsConfig, SwitchAt, VectorPasses, WeightDecay,
};
use proptest::prelude::*;

fn parameters(named: &[(&str, &[f64])]) -> Parameters {
    let vars = named
        .iter()
        .map(|(name, values)| (*name, Var::new(*values, &Device::Cpu).unwrap()));
    Parameters::new(vars).unwrap()
}

fn gradient(parameters: &Parameters, values: &[&[f64]]) -> Gradient {
    let tensors = values
        .iter()
        .map(|values| Tensor::new(*values, &Device::Cpu).unwrap())
        .collect();
    Gradient::new(parameters, tensors).unwrap()
}

fn values(var: &Var) -> Vec<f64> {
    var.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

fn message<T>(result: optim::Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn unusable_parameters_are_refused() {
    let none: [(&str, Var); 0] = [];
    assert!(matches!(Parameters::new(none), Err(Error::EmptyParameters)));
    let f64s = Var::new(&[1f64], &Device::Cpu).unwrap();
    let f32s = Var::new(&[1f32], &Device::Cpu).unwrap();
    let u32s = Var::new(&[1u32], &Device::Cpu).unwrap();
    assert_eq!(
        message(Parameters::new([("b", f32s.clone()), ("a", f64s.clone())])),
        "parameter `b`: dtype is f32, expected f64 as in the other parameters"
    );
    assert_eq!(
        message(Parameters::new([("a", u32s)])),
        "parameter `a`: dtype is u32, expected f32, f64, bf16 or f16"
    );
    assert_eq!(
        message(Parameters::new([("a", f64s.clone()), ("a", f32s)])),
        "parameter `a` appears twice: names must be unique"
    );
    assert_eq!(
        message(Parameters::new([("a", f64s.clone()), ("b", f64s)])),
        "parameters `a` and `b` share their memory: pass tied weights once"
    );
}

#[test]
fn unusable_gradients_are_refused() {
    let set = parameters(&[("a", &[1.0]), ("b", &[2.0])]);
    let a = set.vars()[0].clone();
    assert_eq!(
        message(Loss::new(&set, || a.sqr()?.sum_all()).loss_and_gradient()),
        "parameter `b` has no gradient: the loss does not depend on it through differentiable operations"
    );
    let f64s = Tensor::new(&[1f64], &Device::Cpu).unwrap();
    let f32s = Tensor::new(&[1f32], &Device::Cpu).unwrap();
    assert_eq!(
        message(Gradient::new(&set, vec![f64s.clone(), f32s])),
        "parameter `b`: dtype of the gradient is f32, expected f64"
    );
    assert_eq!(
        message(Gradient::new(&set, vec![f64s.clone()])),
        "parameter `b`: shape is missing, expected [1]"
    );
    let other = parameters(&[("a", &[1.0, 2.0]), ("b", &[2.0])]);
    let mut adam = AdamConfig::default().build(&set).unwrap();
    assert_eq!(
        message(adam.update(&gradient(&other, &[&[1.0, 1.0], &[1.0]]))),
        "parameter `a`: shape is [2], expected [1]"
    );
    assert_eq!(values(&a), [1.0]);
}

#[test]
fn settings_out_of_range_are_named() {
    let set = parameters(&[("w", &[1.0]), ("b", &[1.0])]);
    let sgd = |change: fn(&mut SgdConfig)| {
        let mut config = SgdConfig::default();
        change(&mut config);
        message(config.build(&set))
    };
    let adam = |change: fn(&mut AdamConfig)| {
        let mut config = AdamConfig::default();
        change(&mut config);
        message(config.build(&set))
    };
    let nadamw = |look_ahead| {
        let config = NadamwConfig {
            look_ahead,
            ..NadamwConfig::default()
        };
        message(config.build(&set))
    };
    let lion = |change: fn(&mut LionConfig)| {
        let mut config = LionConfig::default();
        change(&mut config);
        message(config.build(&set))
    };
    let prodigy = |change: fn(&mut ProdigyConfig)| {
        let mut config = ProdigyConfig::default();
        change(&mut config);
        message(config.build(&set))
    };
    let swats = |change: fn(&mut SwatsConfig)| {
        let mut config = SwatsConfig::default();
        change(&mut config);
        message(config.build(&set))
    };
    let growing = |change: fn(&mut GrowingAdamConfig)| {
        let mut config = GrowingAdamConfig {
            at: 3.into(),
            samples: 64,
            adam: AdamConfig::default(),
        };
        change(&mut config);
        message(config.build(&set))
    };
    let schedule_free = |change: fn(&mut ScheduleFreeAdamwConfig)| {
        let mut config = ScheduleFreeAdamwConfig::default();
        change(&mut config);
        message(config.build(&set))
    };
    let group = |group: ParameterGroup| AdamConfig {
        groups: vec![group],
        ..AdamConfig::default()
    };
    for (found, expected) in [
        (
            sgd(|c| c.learning_rate = -1.0),
            "learning_rate = -1 is out of range: expected a finite number >= 0",
        ),
        (
            growing(|c| c.samples = 0),
            "samples = 0 is out of range: expected at least 1",
        ),
        (
            growing(|c| c.at = 0.into()),
            "at = 0 is out of range: expected at least 1 step, or a share of the budget above 0 and at most 1",
        ),
        (
            growing(|c| c.at = Length::Share { budget: 0.5 }),
            "at = { budget = 0.5 } is out of range: expected a number of steps, which `with_budget` makes of a share",
        ),
        (
            growing(|c| c.adam.schedule = Schedule::warm_up_cosine(1.into(), 2.into())),
            "adam.schedule = a schedule is out of range: expected none",
        ),
        (
            sgd(|c| c.momentum = 1.0),
            "momentum = 1 is out of range: expected 0 <= value < 1",
        ),
        (
            sgd(|c| c.dampening = 1.5),
            "dampening = 1.5 is out of range: expected 0 <= value <= 1",
        ),
        (
            sgd(|c| c.nesterov = true),
            "nesterov = true is out of range: expected false, unless momentum > 0 and dampening = 0",
        ),
        (
            sgd(|c| c.weight_decay = f64::NAN),
            "weight_decay = NaN is out of range: expected a finite number >= 0",
        ),
        (
            adam(|c| c.learning_rate = f64::INFINITY),
            "learning_rate = inf is out of range: expected a finite number >= 0",
        ),
        (
            adam(|c| c.beta1 = -0.1),
            "beta1 = -0.1 is out of range: expected 0 <= value < 1",
        ),
        (
            adam(|c| c.beta2 = 1.0),
            "beta2 = 1 is out of range: expected 0 <= value < 1",
        ),
        (
            adam(|c| c.epsilon = -1e-8),
            "epsilon = -0.00000001 is out of range: expected a finite number >= 0",
        ),
        (
            message(
                group(ParameterGroup {
                    parameters: vec!["*.bias".into()],
                    ..Default::default()
                })
                .build(&set),
            ),
            "groups.parameters = *.bias is out of range: expected a pattern that matches the name of at least one parameter",
        ),
        (
            message(
                group(ParameterGroup {
                    learning_rate_factor: -2.0,
                    ..Default::default()
                })
                .build(&set),
            ),
            "groups.learning_rate_factor = -2 is out of range: expected a finite number >= 0",
        ),
        (
            nadamw(LookAhead::Growing(-1.0)),
            "look_ahead.growing = -1 is out of range: expected a finite number >= 0",
        ),
        (
            lion(|c| c.beta2 = 1.0),
            "beta2 = 1 is out of range: expected 0 <= value < 1",
        ),
        (
            prodigy(|c| c.d0 = 0.0),
            "d0 = 0 is out of range: expected a finite number > 0",
        ),
        (
            prodigy(|c| c.growth_rate = Some(0.5)),
            "growth_rate = 0.5 is out of range: expected a finite number >= 1",
        ),
        (
            prodigy(|c| {
                c.groups = vec![ParameterGroup {
                    learning_rate_factor: 0.5,
                    ..ParameterGroup::default()
                }];
            }),
            "groups.learning_rate_factor = 0.5 is out of range: expected 0 or 1",
        ),
        (
            swats(|c| c.relative_tolerance = -0.1),
            "relative_tolerance = -0.1 is out of range: expected a finite number >= 0",
        ),
        (
            schedule_free(|c| c.beta1 = 0.0),
            "beta1 = 0 is out of range: expected 0 < value < 1",
        ),
        (
            schedule_free(|c| c.rate_power = -2.0),
            "rate_power = -2 is out of range: expected a finite number >= 0",
        ),
        (
            message(Schedule::one_cycle(5.into(), 5.into()).check()),
            "schedule.steps = 5 is out of range: expected more than `warm_up`",
        ),
        (
            message(Clip::Norm(0.0).check()),
            "clip.norm = 0 is out of range: expected a finite number > 0",
        ),
        (
            message(
                Schedule::Step {
                    every: 0.into(),
                    factor: 0.1,
                }
                .check(),
            ),
            "schedule.every = 0 is out of range: expected at least 1 step, or a share of the budget \
             above 0 and at most 1",
        ),
    ] {
        assert_eq!(found, expected);
    }
    let mut built = AdamConfig::default().build(&set).unwrap();
    assert!(built.set_learning_rate(f64::NAN).is_err());
    assert_eq!(built.learning_rate(), 1e-3);
}

#[test]
fn unknown_keys_are_refused() {
    let adam = serde_json::from_str::<AdamConfig>(r#"{"beta": 0.9}"#).unwrap_err();
    assert!(adam.to_string().contains("unknown field `beta`"), "{adam}");
    for text in [
        r#"{"kind": "constant", "steps": 3}"#,
        r#"{"kind": "cosine", "steps": 3, "period": 2}"#,
    ] {
        let schedule = serde_json::from_str::<Schedule>(text).unwrap_err();
        assert!(schedule.to_string().contains("unknown field"), "{schedule}");
    }
}

#[test]
fn a_schedule_among_the_settings_is_followed() {
    // SGD on a gradient of 1: each move is the rate.
    let set = parameters(&[("x", &[0.0])]);
    let unit = gradient(&set, &[&[1.0]]);
    let config = SgdConfig {
        learning_rate: 0.5,
        schedule: Schedule::MultiStep {
            at: vec![2.into(), Length::Share { budget: 0.8 }],
            factor: 0.1,
        },
        ..SgdConfig::default()
    };
    assert_eq!(
        message(config.clone().build(&set)),
        "schedule.at = { budget = 0.8 } is out of range: expected a number of steps, which \
         `with_budget` makes of a share"
    );
    let mut sgd = config.with_budget(5).build(&set).unwrap();
    let rates = [0.5, 0.5, 0.05, 0.05, 0.005];
    for rate in rates {
        assert!((sgd.learning_rate() - rate).abs() < 1e-15);
        let before = values(&set.vars()[0])[0];
        sgd.update(&unit).unwrap();
        assert!((before - values(&set.vars()[0])[0] - rate).abs() < 1e-12);
    }
    let state = sgd.state().unwrap();
    let mut resumed = sgd.config().clone().build(&set).unwrap();
    resumed.restore(&state).unwrap();
    assert_eq!(resumed.learning_rate(), sgd.learning_rate());
}

#[test]
fn adam_with_a_schedule_moves_as_adam_that_is_wrapped_in_it() {
    let schedule = Schedule::WarmUp {
        steps: 3.into(),
        start_factor: 0.1,
        then: Box::new(Schedule::Cosine {
            steps: 9.into(),
            final_factor: 0.01,
        }),
    };
    let config = AdamConfig {
        learning_rate: 0.1,
        ..AdamConfig::default()
    };
    let path = |build: &dyn Fn(&Parameters) -> Box<dyn Optimizer>| {
        let mut problem = Analytic::new(rosenbrock, &rosenbrock_start(4));
        let mut adam = build(&problem.parameters);
        let mut meter = Meter::new();
        for _ in 0..15 {
            adam.step(&mut Oracle::new(&mut problem, &mut meter))
                .unwrap();
        }
        problem.values()
    };
    let wrapped = path(&|set| {
        let adam = config.clone().build(set).unwrap();
        Box::new(Scheduled::new(adam, schedule.clone()).unwrap())
    });
    let own = path(&|set| {
        let schedule = schedule.clone();
        let config = AdamConfig {
            schedule,
            ..config.clone()
        };
        Box::new(config.build(set).unwrap())
    });
    assert_eq!(own, wrapped);
}

#[test]
fn shares_of_a_budget_become_steps() {
    let read = |text: &str| serde_json::from_str::<Schedule>(text).unwrap();
    let shares = read(
        r#"{"kind": "warm-up", "steps": {"budget": 0.1}, "then": {"kind": "cosine", "steps": {"budget": 0.9}}}"#,
    );
    let steps =
        read(r#"{"kind": "warm-up", "steps": 100, "then": {"kind": "cosine", "steps": 900}}"#);
    assert_eq!(shares.with_budget(1000), steps);
    // A share of a small budget is a step at least; one out of range stays and is refused.
    let step = |budget| Schedule::Step {
        every: Length::Share { budget },
        factor: 0.5,
    };
    assert!(step(0.01).with_budget(10).check().is_ok());
    for share in [0.0, -0.5, 1.5, f64::NAN] {
        assert!(step(share).with_budget(10).check().is_err(), "{share}");
    }
    let unknown =
        serde_json::from_str::<Schedule>(r#"{"kind": "cosine", "steps": {"share": 1.0}}"#);
    let unknown = unknown.unwrap_err().to_string();
    assert!(unknown.contains("such as { budget = 0.5 }"), "{unknown}");
}

#[test]
fn costs_are_counted() {
    let set = parameters(&[("a", &[1.0, 2.0]), ("b", &[3.0])]);
    let unit = gradient(&set, &[&[1.0, 1.0], &[1.0]]);
    let momentum = SgdConfig {
        momentum: 0.9,
        ..SgdConfig::default()
    };
    let amsgrad = AdamConfig {
        amsgrad: true,
        ..AdamConfig::default()
    };
    let passes = |reads, writes| VectorPasses { reads, writes };
    let mut sgd = SgdConfig::default().build(&set).unwrap();
    sgd.update(&unit).unwrap();
    assert_eq!(
        (sgd.state_elements(), sgd.vector_passes()),
        (0, passes(2, 1))
    );
    let mut sgd = momentum.build(&set).unwrap();
    sgd.update(&unit).unwrap();
    assert_eq!(
        (sgd.state_elements(), sgd.vector_passes()),
        (3, passes(3, 2))
    );
    let mut adam = AdamConfig::default().build(&set).unwrap();
    adam.update(&unit).unwrap();
    adam.update(&unit).unwrap();
    assert_eq!(
        (adam.state_elements(), adam.vector_passes()),
        (6, passes(8, 6))
    );
    let mut adam = amsgrad.build(&set).unwrap();
    adam.update(&unit).unwrap();
    assert_eq!(
        (adam.state_elements(), adam.vector_passes()),
        (9, passes(5, 4))
    );
    let mut lion = LionConfig::default().build(&set).unwrap();
    lion.update(&unit).unwrap();
    assert_eq!(
        (lion.state_elements(), lion.vector_passes()),
        (3, passes(3, 2))
    );
    let mut nadamw = NadamwConfig::default().build(&set).unwrap();
    nadamw.update(&unit).unwrap();
    assert_eq!(
        (nadamw.state_elements(), nadamw.vector_passes()),
        (6, passes(4, 3))
    );
    let config = ScheduleFreeAdamwConfig::default();
    let mut schedule_free = config.build(&set).unwrap();
    schedule_free.update(&unit).unwrap();
    assert_eq!(
        (
            schedule_free.state_elements(),
            schedule_free.vector_passes()
        ),
        (6, passes(4, 3))
    );
}

#[test]
fn costs_of_prodigy_and_swats_are_counted() {
    let set = parameters(&[("a", &[1.0, 2.0]), ("b", &[3.0])]);
    let unit = gradient(&set, &[&[1.0, 1.0], &[1.0]]);
    let passes = |reads, writes| VectorPasses { reads, writes };
    let mut prodigy = ProdigyConfig::default().build(&set).unwrap();
    prodigy.update(&unit).unwrap();
    assert_eq!(
        (prodigy.state_elements(), prodigy.vector_passes()),
        (12, passes(10, 4))
    );
    // A constant gradient's rate settles at once: Adam twice, then SGD with momentum.
    let config = SwatsConfig {
        relative_tolerance: 1e-6,
        ..SwatsConfig::default()
    };
    let mut swats = config.build(&set).unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        swats.update(&unit).unwrap();
        held.push((swats.state_elements(), swats.vector_passes()));
    }
    let expected = [(6, passes(4, 3)), (3, passes(8, 6)), (3, passes(11, 8))];
    assert_eq!(held, expected);
    let diagnostics = swats.diagnostics();
    assert_eq!(diagnostics.switches[0].step, 2);
    let fired: Vec<bool> = diagnostics.criteria.iter().map(|c| c.fired).collect();
    assert_eq!(fired, [false, true]);
}

/// With w = t, the average of Schedule-Free's z is Σ t·z / Σ t; its parameters lie between the two.
#[test]
fn schedule_free_averages_as_it_is_defined() {
    let set = parameters(&[("x", &[1.0])]);
    let config = ScheduleFreeAdamwConfig {
        learning_rate: 0.25,
        beta1: 0.75,
        epsilon: 0.0,
        step_power: 1.0,
        ..ScheduleFreeAdamwConfig::default()
    };
    let mut optimizer = config.build(&set).unwrap();
    assert!(optimizer.evaluation_parameters().unwrap().is_none());
    // From gradients of one size, z moves by the learning rate.
    let (mut z, mut weighted, mut weights) = (1.0, 0.0, 0.0);
    for t in 1..=6 {
        optimizer.update(&gradient(&set, &[&[2.0]])).unwrap();
        z -= 0.25;
        weighted += f64::from(t) * z;
        weights += f64::from(t);
        let x = weighted / weights;
        let average = optimizer.evaluation_parameters().unwrap().unwrap();
        let average: Vec<f64> = average[0].to_vec1().unwrap();
        assert!((average[0] - x).abs() < 1e-12, "{average:?} {x}");
        let y = 0.25 * z + 0.75 * x;
        assert!((values(&set.vars()[0])[0] - y).abs() < 1e-12);
    }
}

#[test]
fn a_step_reports_the_point_it_began_at() {
    let mut problem = Analytic::new(rosenbrock, &rosenbrock_start(2));
    let mut adam = AdamConfig::default().build(&problem.parameters).unwrap();
    let mut meter = Meter::with_budget(1);
    let step = adam
        .step(&mut Oracle::new(&mut problem, &mut meter))
        .unwrap();
    let (loss, g) = rosenbrock(&rosenbrock_start(2));
    assert_eq!(step.loss, loss);
    assert!((step.gradient_norm - g[0].hypot(g[1])).abs() < 1e-12 * step.gradient_norm);
    assert_eq!(
        (step.phase, step.iterations, step.final_loss),
        (Phase::FirstOrder, 1, None)
    );
    assert_eq!(step.stop, StopReason::Updated);
    let once = Counts {
        loss_evaluations: 0,
        gradient_evaluations: 1,
    };
    assert_eq!(meter.counts(), once);
    let spent = adam.step(&mut Oracle::new(&mut problem, &mut meter));
    assert!(matches!(spent, Err(Error::BudgetSpent { budget: 1 })));
}

#[test]
fn adam_sgd_changes_hands_where_it_is_told() {
    for switch_at in [SwitchAt::Step(4), SwitchAt::Epoch(2)] {
        let start = rosenbrock_start(3);
        let mut problem = Analytic::new(rosenbrock, &start);
        let mut expected = Analytic::new(rosenbrock, &start);
        let mut both = AdamSgdConfig {
            sgd: SgdConfig {
                learning_rate: 1e-4,
                momentum: 0.5,
                ..SgdConfig::default()
            },
            ..AdamSgdConfig::new(switch_at)
        };
        both.adam.learning_rate = 0.05;
        let mut adam = both.adam.clone().build(&expected.parameters).unwrap();
        let mut sgd = both.sgd.clone().build(&expected.parameters).unwrap();
        let mut both = both.build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        for t in 0..8 {
            if t % 2 == 0 {
                both.start_epoch(t / 2);
            }
            assert_eq!(both.has_switched(), t >= 4);
            both.step(&mut Oracle::new(&mut problem, &mut meter))
                .unwrap();
            let mut oracle = Oracle::new(&mut expected, &mut meter);
            let part: &mut dyn Optimizer = if t < 4 { &mut adam } else { &mut sgd };
            part.step(&mut oracle).unwrap();
            assert_eq!(problem.values(), expected.values(), "step {t}");
        }
    }
}

#[test]
fn groups_have_their_own_rate_and_decay() {
    let set = parameters(&[("l.bias", &[1.0]), ("l.weight", &[1.0]), ("frozen", &[1.0])]);
    let config = SgdConfig {
        learning_rate: 0.5,
        weight_decay: 0.5,
        groups: vec![
            ParameterGroup {
                parameters: vec!["*.bias".into()],
                weight_decay: Some(0.0),
                ..Default::default()
            },
            ParameterGroup {
                parameters: vec!["frozen".into()],
                learning_rate_factor: 0.0,
                ..Default::default()
            },
        ],
        ..SgdConfig::default()
    };
    let mut sgd = config.build(&set).unwrap();
    sgd.update(&gradient(&set, &[&[1.0], &[1.0], &[1.0]]))
        .unwrap();
    let after: Vec<_> = set.vars().iter().map(|var| values(var)[0]).collect();
    assert_eq!(set.names(), ["frozen", "l.bias", "l.weight"]);
    assert_eq!(after, [1.0, 0.5, 0.25]);
}

#[test]
fn nothing_that_is_not_finite_enters_parameters_or_state() {
    for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
        for bad in [f64::NAN, f64::INFINITY] {
            let start = [1.0, -2.0, 0.5];
            let finite = |x: &[f64]| (x.iter().map(|x| x * x).sum(), x.to_vec());
            let calls = std::cell::Cell::new(0);
            let spoiled = |x: &[f64]| {
                calls.set(calls.get() + 1);
                let (loss, mut g) = finite(x);
                match calls.get() {
                    2 => (bad, g),
                    4 => {
                        g[1] = bad;
                        (loss, g)
                    }
                    _ => (loss, g),
                }
            };
            let mut problem = Analytic::with_dtype(spoiled, &start, dtype);
            let config = AdamConfig {
                learning_rate: 0.1,
                ..AdamConfig::default()
            };
            let mut adam = config.build(&problem.parameters).unwrap();
            let mut meter = Meter::new();
            for call in 1..=6 {
                let before = problem.values();
                let step = adam
                    .step(&mut Oracle::new(&mut problem, &mut meter))
                    .unwrap();
                let spoiled = call == 2 || call == 4;
                assert_eq!(
                    step.stop == StopReason::NonFinite,
                    spoiled,
                    "{dtype:?} {call}"
                );
                // A loss that is not finite stops the whole update, a gradient that of its
                // component.
                let after = problem.values();
                if call == 2 {
                    assert_eq!(after, before, "{dtype:?}");
                }
                if call == 4 {
                    assert_eq!(after[1], before[1], "{dtype:?}");
                    assert_ne!(after[0], before[0], "{dtype:?}");
                }
                assert!(problem.values().iter().all(|x| x.is_finite()));
            }
        }
    }
}

/// A gradient tensor may be the parameter itself, as of ½‖x‖².
#[test]
fn a_gradient_that_is_the_parameter_is_copied() {
    let set = parameters(&[("x", &[2.0, -4.0])]);
    let x = set.vars()[0].clone();
    let itself = Gradient::new(&set, vec![x.as_tensor().clone()]).unwrap();
    let mut sgd = SgdConfig {
        learning_rate: 0.5,
        ..SgdConfig::default()
    }
    .build(&set)
    .unwrap();
    sgd.update(&itself).unwrap();
    assert_eq!(values(&x), [1.0, -2.0]);
    assert_eq!(itself.tensors()[0].to_vec1::<f64>().unwrap(), [2.0, -4.0]);
}

#[test]
fn half_precision_keeps_its_state_in_single() {
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::BF16, 2e-2), (DType::F16, 2e-3)] {
        let (f, start) = quadratic(8, 10.0);
        let mut reference = Analytic::new(&f, &start);
        let mut problem = Analytic::with_dtype(&f, &start, dtype);
        let config = AdamConfig {
            learning_rate: 0.02,
            ..AdamConfig::default()
        };
        let mut adam64 = config.clone().build(&reference.parameters).unwrap();
        let mut adam = config.build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        for _ in 0..20 {
            adam64
                .step(&mut Oracle::new(&mut reference, &mut meter))
                .unwrap();
            adam.step(&mut Oracle::new(&mut problem, &mut meter))
                .unwrap();
        }
        for (name, tensor) in adam.state().unwrap().tensors {
            assert_eq!(tensor.dtype(), DType::F32, "{name}");
        }
        for (found, expected) in problem.values().iter().zip(reference.values()) {
            assert!(
                (found - expected).abs() <= tolerance,
                "{dtype:?}: {found} {expected}"
            );
        }
    }
}

#[test]
fn a_schedule_scales_every_group_and_follows_a_new_base() {
    let set = parameters(&[("a", &[0.0]), ("b", &[0.0])]);
    let unit = gradient(&set, &[&[1.0], &[1.0]]);
    let config = SgdConfig {
        learning_rate: 1.0,
        groups: vec![ParameterGroup {
            parameters: vec!["b".into()],
            learning_rate_factor: 0.5,
            ..Default::default()
        }],
        ..SgdConfig::default()
    };
    struct Constant(Gradient);
    impl Objective for Constant {
        fn loss(&mut self) -> optim::Result<f64> {
            Ok(0.0)
        }
        fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
            Ok((0.0, self.0.clone()))
        }
    }
    let warm_up = Schedule::WarmUp {
        steps: 2.into(),
        start_factor: 0.0,
        then: Box::default(),
    };
    let boxed: Box<dyn Optimizer> = Box::new(config.build(&set).unwrap());
    let mut sgd = Scheduled::new(boxed, warm_up).unwrap();
    let mut objective = Constant(unit);
    let mut meter = Meter::new();
    let mut at = Vec::new();
    for t in 0..4 {
        if t == 3 {
            sgd.set_learning_rate(2.0).unwrap();
        }
        sgd.step(&mut Oracle::new(&mut objective, &mut meter))
            .unwrap();
        at.push([values(&set.vars()[0])[0], values(&set.vars()[1])[0]]);
    }
    assert_eq!(
        at,
        [[0.0, 0.0], [-0.5, -0.25], [-1.5, -0.75], [-3.5, -1.75]]
    );
}

proptest! {
    /// Scaling down keeps the direction; a gradient within the bound is untouched.
    #[test]
    fn clipping_by_norm_bounds_it(g in prop::collection::vec(-1e3..1e3f64, 1..40), bound in 1e-3..1e3f64) {
        let set = parameters(&[("x", &vec![0.0; g.len()])]);
        let before = gradient(&set, &[&g]);
        let norm = before.norm().unwrap();
        let after = Clip::Norm(bound).apply(before).unwrap();
        let clipped: Vec<f64> = after.tensors()[0].to_vec1().unwrap();
        if norm <= bound {
            prop_assert_eq!(clipped, g);
        } else {
            prop_assert!((after.norm().unwrap() - bound).abs() <= 1e-12 * bound);
            for (clipped, g) in clipped.iter().zip(&g) {
                prop_assert!((clipped * norm - g * bound).abs() <= 1e-12 * norm * bound);
            }
        }
    }

    #[test]
    fn clipping_by_value_bounds_every_component(g in prop::collection::vec(-1e3..1e3f64, 1..40), bound in 1e-3..1e3f64) {
        let set = parameters(&[("x", &vec![0.0; g.len()])]);
        let after = Clip::Value(bound).apply(gradient(&set, &[&g])).unwrap();
        let expected: Vec<f64> = g.iter().map(|g| g.clamp(-bound, bound)).collect();
        prop_assert_eq!(after.tensors()[0].to_vec1::<f64>().unwrap(), expected);
    }

    /// Without epsilon, Adam does not change when the loss is multiplied by a constant. A power of
    /// two scales every intermediate result exactly.
    #[test]
    fn adam_is_invariant_to_the_scale_of_the_loss(start in prop::collection::vec(-2.0..2.0f64, 2..6), power in -20..20i32) {
        let run = |scale: f64| {
            let f = |x: &[f64]| {
                let (f, g) = rosenbrock(x);
                (scale * f, g.iter().map(|g| scale * g).collect())
            };
            let mut problem = Analytic::new(f, &start);
            let config = AdamConfig { epsilon: 0.0, learning_rate: 0.01, ..AdamConfig::default() };
            let mut adam = config.build(&problem.parameters).unwrap();
            let mut meter = Meter::new();
            for _ in 0..10 {
                adam.step(&mut Oracle::new(&mut problem, &mut meter)).unwrap();
            }
            problem.values()
        };
        prop_assert_eq!(run(2f64.powi(power)), run(1.0));
    }

    /// One decoupled decay with a zero gradient multiplies by 1 - αλ, whatever the moments.
    #[test]
    fn decoupled_decay_shrinks_alone(x in -10.0..10.0f64, rate in 0.0..0.5f64, decay in 0.0..1.0f64) {
        let set = parameters(&[("x", &[x])]);
        let config = AdamConfig {
            learning_rate: rate,
            weight_decay: decay,
            weight_decay_kind: WeightDecay::Decoupled,
            ..AdamConfig::default()
        };
        config.build(&set).unwrap().update(&gradient(&set, &[&[0.0]])).unwrap();
        let shrunk = (1.0 - rate * decay) * x;
        prop_assert!((values(&set.vars()[0])[0] - shrunk).abs() <= 1e-15 * x.abs());
    }
}
