//! SGD with a stochastic line search: what bounds a search, and what a failed one leaves.

use crate::common::{Analytic, Function};
use candle_core::{DType, Device, Tensor, Var};
use optim::{
    Loss, Meter, Optimizer, Oracle, Parameters, Sls, SlsConfig, Step, StepReset, StopReason,
    VectorPasses,
};

fn config() -> SlsConfig {
    SlsConfig {
        shrink: 0.5,
        reset: StepReset::Initial,
        ..SlsConfig::default()
    }
}

fn step<F: Function>(sls: &mut Sls, problem: &mut Analytic<F>, meter: &mut Meter) -> Step {
    sls.step(&mut Oracle::new(problem, meter)).unwrap()
}

/// ½·100·x², where lengths from 1 on are halved six times: 1/64 is the first below 2·(1 - c)/100.
fn steep(x: &[f64]) -> (f64, Vec<f64>) {
    (50.0 * x[0] * x[0], vec![100.0 * x[0]])
}

#[test]
fn a_search_makes_the_evaluations_and_passes_that_are_told() {
    let mut problem = Analytic::new(steep, &[1.0]);
    let mut sls = config().build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    let made = step(&mut sls, &mut problem, &mut meter);
    assert_eq!(sls.learning_rate(), 1.0 / 64.0);
    let x = 1.0 - 100.0 / 64.0;
    assert_eq!(problem.values(), [x]);
    assert_eq!((made.loss, made.final_loss), (50.0, Some(50.0 * x * x)));
    assert_eq!(made.stop, StopReason::Updated);
    let counts = meter.counts();
    assert_eq!(
        (counts.gradient_evaluations, counts.loss_evaluations),
        (1, 7)
    );
    let passes = VectorPasses {
        reads: 2 + 2 * 7,
        writes: 1 + 7,
    };
    assert_eq!(sls.vector_passes(), passes);
    assert_eq!(sls.state_elements(), 1);
}

#[test]
fn a_search_that_is_cut_short_keeps_the_best_point() {
    // At 1/32 the loss is 0.5·100·(1 - 100/32)² = 226 > 50; at 1/64 it is 15.8.
    for (max_trials, budget, evaluations) in [(3, 100, 4), (100, 4, 4)] {
        let mut problem = Analytic::new(steep, &[1.0]);
        let settings = SlsConfig {
            max_trials,
            ..config()
        };
        let mut sls = settings.build(&problem.parameters).unwrap();
        let mut meter = Meter::with_budget(budget);
        let made = step(&mut sls, &mut problem, &mut meter);
        assert_eq!(meter.counts().evaluations(), evaluations);
        assert_eq!(made.stop, StopReason::LineSearchFailed);
        assert_eq!((made.final_loss, problem.values()), (Some(50.0), vec![1.0]));
    }
    // A point that is better, but not by enough.
    let strict = SlsConfig {
        c: 0.9,
        max_trials: 7,
        ..config()
    };
    let mut problem = Analytic::new(steep, &[1.0]);
    let mut sls = strict.build(&problem.parameters).unwrap();
    let made = step(&mut sls, &mut problem, &mut Meter::new());
    assert_eq!(made.stop, StopReason::LineSearchFailed);
    assert_eq!(problem.values(), [1.0 - 100.0 / 64.0]);
    // With the gradient alone the budget is spent.
    let mut problem = Analytic::new(steep, &[1.0]);
    let mut sls = config().build(&problem.parameters).unwrap();
    let made = step(&mut sls, &mut problem, &mut Meter::with_budget(1));
    assert_eq!(made.stop, StopReason::BudgetSpent);
    assert_eq!(problem.values(), [1.0]);
}

#[test]
fn what_is_not_finite_is_not_entered() {
    // Undefined from 0.9 on down: lengths are halved until 1 - η > 0.9.
    let walled = |x: &[f64]| match x[0] > 0.9 {
        true => (x[0], vec![1.0]),
        false => (f64::NAN, vec![1.0]),
    };
    let mut problem = Analytic::new(walled, &[1.0]);
    let mut sls = config().build(&problem.parameters).unwrap();
    step(&mut sls, &mut problem, &mut Meter::new());
    assert_eq!(problem.values(), [1.0 - 1.0 / 16.0]);
    for (loss, slope, stop) in [
        (f64::NAN, 1.0, StopReason::NonFinite),
        (1.0, f64::INFINITY, StopReason::NonFinite),
        (1.0, 0.0, StopReason::GradientTolerance),
    ] {
        let mut problem = Analytic::new(move |_: &[f64]| (loss, vec![slope]), &[1.0]);
        let mut sls = config().build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        assert_eq!(step(&mut sls, &mut problem, &mut meter).stop, stop);
        assert_eq!(problem.values(), [1.0]);
        assert_eq!(meter.counts().evaluations(), 1);
    }
}

#[test]
fn trials_move_running_statistics_once() {
    let x = Var::new(&[1f64], &Device::Cpu).unwrap();
    let seen = Var::zeros(1, DType::F64, &Device::Cpu).unwrap();
    let parameters = Parameters::new([("x", x.clone())]).unwrap();
    let mut sls = config().build(&parameters).unwrap();
    let loss = || -> candle_core::Result<Tensor> {
        seen.set(&(seen.as_tensor() + x.as_detached_tensor())?)?;
        (x.sqr()? * 50.0)?.sum_all()
    };
    let mut objective = Loss::new(&parameters, loss).with_buffers(vec![seen.clone()]);
    let mut meter = Meter::new();
    sls.step(&mut Oracle::new(&mut objective, &mut meter))
        .unwrap();
    assert_eq!(meter.counts().loss_evaluations, 7);
    // Where the step began, and where it ended.
    let end = x.to_vec1::<f64>().unwrap()[0];
    assert_eq!(seen.to_vec1::<f64>().unwrap(), [1.0 + end]);
}

#[test]
fn settings_out_of_range_are_named() {
    let problem = Analytic::new(steep, &[1.0]);
    let grow = |factor, steps| StepReset::Grow { factor, steps };
    let change = |change: fn(&mut SlsConfig)| {
        let mut config = SlsConfig::default();
        change(&mut config);
        config
    };
    let with = |reset| SlsConfig {
        reset,
        ..SlsConfig::default()
    };
    for (settings, says) in [
        (
            change(|config| config.learning_rate = 0.0),
            "learning_rate = 0",
        ),
        (change(|config| config.c = 1.0), "c = 1"),
        (change(|config| config.shrink = 1.0), "shrink = 1"),
        (change(|config| config.max_trials = 0), "max_trials = 0"),
        (with(grow(0.5, 1)), "reset.grow.factor = 0.5"),
        (with(grow(2.0, 0)), "reset.grow.steps = 0"),
    ] {
        let error = settings.build(&problem.parameters).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}
