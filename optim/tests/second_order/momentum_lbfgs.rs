//! L-BFGS with pairs from running means: the authors' trajectories, its costs, its state, and what
//! it does with noisy gradients.

use crate::common::{Analytic, Function};
use candle_core::{Device, Var};
use optim::{
    Criterion, CurvatureGuard, FusePvConfig, Gradient, Handover, Meter, MomentumLbfgs,
    MomentumLbfgsConfig, Objective, Optimizer, Oracle, PairCounts, Parameters, Phase, Policy,
    Result, StopReason, VectorPasses,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    lr: f64,
    momentum: f64,
    weight_decay: f64,
    mm_p: f64,
    mm_g: f64,
    update_freq: u64,
    hist_sz: usize,
    damping: f64,
    kl_clip: f64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    x: Option<Vec<f64>>,
}

impl Run {
    fn config(&self) -> MomentumLbfgsConfig {
        MomentumLbfgsConfig {
            learning_rate: self.lr,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            parameter_decay: self.mm_p,
            gradient_decay: self.mm_g,
            pair_every: self.update_freq,
            history_size: self.hist_sz,
            guard: CurvatureGuard::Adaptive {
                share: self.damping,
                low: 0.01,
                high: 1.5,
                least: 1e-12,
            },
            clip: Some(self.kl_clip),
            ..MomentumLbfgsConfig::default()
        }
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/momentum_lbfgs.json")).unwrap()
}

fn problem() -> Analytic<impl Function> {
    let f = |x: &[f64]| {
        let mut loss = 0.0;
        let mut gradient = Vec::new();
        for (i, x) in x.iter().enumerate() {
            let scale = 0.01 * 100f64.powf(i as f64 / 19.0);
            let center = 1.0 + 0.1 * i as f64;
            loss += scale * (x - center).powi(2) + 0.1 * (3.0 * x).cos();
            gradient.push(2.0 * scale * (x - center) - 0.3 * (3.0 * x).sin());
        }
        (loss, gradient)
    };
    Analytic::new(f, &[0.0; 20])
}

fn step(
    optimizer: &mut MomentumLbfgs,
    objective: &mut dyn Objective,
    meter: &mut Meter,
) -> optim::Step {
    optimizer.step(&mut Oracle::new(objective, meter)).unwrap()
}

#[test]
fn trajectories_are_the_authors() {
    for (run, stored) in golden().runs.iter().zip([4, 10, 3]) {
        let mut problem = problem();
        let mut optimizer = run.config().build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        let mut worst = 0f64;
        for (i, expected) in run.steps.iter().enumerate() {
            let made = step(&mut optimizer, &mut problem, &mut meter);
            let error = (made.loss - expected.loss).abs() / expected.loss.abs();
            assert!(error <= 1e-10, "step {i}: loss {} {error:e}", made.loss);
            for (x, expected) in problem.values().iter().zip(expected.x.iter().flatten()) {
                let error = (x - expected).abs() / (1.0 + expected.abs());
                worst = worst.max(error);
                assert!(error <= 1e-10, "step {i}: {x} {expected}");
            }
        }
        println!("{worst:e} {:?}", optimizer.diagnostics().counters);
        assert_eq!(run.steps.len(), 80);
        assert_eq!(optimizer.pairs_held(), stored);
    }
}

#[test]
fn a_restored_run_continues_bit_for_bit() {
    let run = &golden().runs[0];
    let mut problems = [problem(), problem()];
    let mut meter = Meter::new();
    let [straight, resumed] = &mut problems;
    let mut expected = run.config().build(&straight.parameters).unwrap();
    let mut optimizer = run.config().build(&resumed.parameters).unwrap();
    for _ in 0..40 {
        step(&mut expected, straight, &mut meter);
        step(&mut optimizer, resumed, &mut meter);
        let bits = |x: Vec<f64>| x.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(resumed.values()), bits(straight.values()));
        let state = optimizer.state().unwrap();
        optimizer = run.config().build(&resumed.parameters).unwrap();
        optimizer.restore(&state).unwrap();
    }
    assert_eq!(optimizer.vector_passes(), expected.vector_passes());
    assert_eq!(optimizer.diagnostics(), expected.diagnostics());
    assert!(
        optimizer
            .restore(
                &run.config()
                    .build(&straight.parameters)
                    .unwrap()
                    .state()
                    .unwrap()
            )
            .is_ok()
    );
    let other = MomentumLbfgsConfig {
        momentum: 0.1,
        ..run.config()
    };
    let error = other
        .build(&resumed.parameters)
        .unwrap()
        .restore(&expected.state().unwrap());
    assert!(error.unwrap_err().to_string().contains("config.momentum"));
}

#[test]
fn costs_are_those_of_the_formula() {
    let (every, history_size) = (3, 2);
    let config = MomentumLbfgsConfig {
        parameter_decay: 0.5,
        gradient_decay: 0.5,
        pair_every: every,
        history_size,
        learning_rate: 0.01,
        ..MomentumLbfgsConfig::default()
    };
    let mut problem = problem();
    let mut optimizer = config.build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    for i in 1..=20u64 {
        let (before, held) = (optimizer.vector_passes(), optimizer.pairs_held() as u64);
        step(&mut optimizer, &mut problem, &mut meter);
        let n = optimizer.pairs_held() as u64;
        let mut expected = VectorPasses {
            reads: if n == 0 { 11 } else { 4 * n + 14 },
            writes: 6,
        };
        if i == 1 {
            // The means are set.
            expected.reads -= 2;
        } else if i == every {
            // Means are kept for the first time.
            expected += VectorPasses {
                reads: 2,
                writes: 2,
            };
        } else if i.is_multiple_of(every) {
            expected = VectorPasses {
                reads: 4 * held + 2 * n + 25,
                writes: 13,
            };
        }
        let after = optimizer.vector_passes();
        assert_eq!(
            (after.reads - before.reads, after.writes - before.writes),
            (expected.reads, expected.writes),
            "step {i}, {held} pairs, then {n}"
        );
    }
    assert_eq!(meter.counts().gradient_evaluations, 20);
    // Two pairs, the place where the next one is written, and seven vectors.
    assert_eq!(optimizer.state_elements(), 20 * (2 * 2 + 2 + 7));
}

/// Gradients of a parabola with noise of a fixed sequence, several times their size near the end.
struct Noisy {
    x: Var,
    parameters: Parameters,
    calls: u64,
}

impl Objective for Noisy {
    fn loss(&mut self) -> Result<f64> {
        Ok(self.x.sqr()?.sum_all()?.to_scalar()?)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        self.calls += 1;
        let noise: Vec<f64> = (0..10)
            .map(|i| ((self.calls * 10 + i) as f64 * 12.9898).sin() * 43_758.545)
            .map(|x| 2.0 * (x - x.floor()) - 1.0)
            .collect();
        let noise = candle_core::Tensor::new(noise, &Device::Cpu)?;
        let gradient = ((self.x.as_tensor() * 2.0)? + noise)?;
        Ok((
            self.loss()?,
            Gradient::new(&self.parameters, vec![gradient])?,
        ))
    }
}

#[test]
fn pairs_of_noisy_gradients_stay_within_the_damping_s_bounds() {
    let x = Var::from_vec(vec![3f64; 10], 10, &Device::Cpu).unwrap();
    let parameters = Parameters::new([("x", x.clone())]).unwrap();
    let mut objective = Noisy {
        x,
        parameters: parameters.clone(),
        calls: 0,
    };
    let config = MomentumLbfgsConfig {
        learning_rate: 0.02,
        parameter_decay: 0.9,
        gradient_decay: 0.9,
        pair_every: 10,
        ..MomentumLbfgsConfig::default()
    };
    let mut optimizer = config.build(&parameters).unwrap();
    let mut meter = Meter::new();
    for _ in 0..400 {
        assert_eq!(
            step(&mut optimizer, &mut objective, &mut meter).stop,
            StopReason::Updated
        );
    }
    let pairs = PairCounts::from(&optimizer.diagnostics().counters);
    assert_eq!(pairs.stored + pairs.skipped, 39);
    assert!(
        pairs.damped == pairs.stored && pairs.stored > 20,
        "{pairs:?}"
    );
    let loss = objective.loss().unwrap();
    assert!(loss < 0.5, "{loss}");
}

#[test]
fn it_is_a_second_phase_that_resumes_bit_for_bit() {
    let config = |policy| FusePvConfig {
        criterion: Criterion::Step(7),
        policy,
        momentum_lbfgs: Some(golden().runs[2].config()),
        ..FusePvConfig::default()
    };
    for policy in [Policy::OneWay, Policy::Reversible { keep_memory: false }] {
        let config = config(policy);
        let (mut straight, mut resumed) = (problem(), problem());
        let mut meter = Meter::new();
        let mut expected = config.clone().build(&straight.parameters).unwrap();
        let mut optimizer = config.clone().build(&resumed.parameters).unwrap();
        for _ in 0..20 {
            let a = expected
                .step(&mut Oracle::new(&mut straight, &mut meter))
                .unwrap();
            let b = optimizer
                .step(&mut Oracle::new(&mut resumed, &mut meter))
                .unwrap();
            assert_eq!(a, b);
            assert_eq!(straight.values(), resumed.values());
            let state = optimizer.state().unwrap();
            optimizer = config.clone().build(&resumed.parameters).unwrap();
            optimizer.restore(&state).unwrap();
        }
        assert_eq!(optimizer.vector_passes(), expected.vector_passes());
        assert_eq!(optimizer.diagnostics().switches[0].to, Phase::SecondOrder);
        assert!(optimizer.diagnostics().counters.get("pairs-stored") > 5);
        assert!(optimizer.lbfgs().is_none());
    }
    let warm = FusePvConfig {
        handover: Handover::WarmPairs,
        ..config(Policy::OneWay)
    };
    let error = warm.build(&problem().parameters).unwrap_err().to_string();
    assert!(error.starts_with("handover = WarmPairs"), "{error}");
}

#[test]
fn what_is_not_finite_moves_nothing() {
    let mut problem = Analytic::new(|x: &[f64]| (f64::NAN, vec![1.0; x.len()]), &[1.0, 2.0]);
    let mut optimizer = MomentumLbfgsConfig::default()
        .build(&problem.parameters)
        .unwrap();
    let made = step(&mut optimizer, &mut problem, &mut Meter::new());
    assert_eq!(made.stop, StopReason::NonFinite);
    assert_eq!(problem.values(), [1.0, 2.0]);
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let parameters = problem().parameters;
    let refused = |change: fn(&mut MomentumLbfgsConfig)| {
        let mut config = MomentumLbfgsConfig::default();
        change(&mut config);
        config.build(&parameters).unwrap_err().to_string()
    };
    for (change, name) in [
        (
            (|c| c.learning_rate = -1.0) as fn(&mut MomentumLbfgsConfig),
            "learning_rate",
        ),
        (|c| c.momentum = 1.0, "momentum"),
        (|c| c.weight_decay = f64::NAN, "weight_decay"),
        (|c| c.parameter_decay = 1.0, "parameter_decay"),
        (|c| c.gradient_decay = -0.1, "gradient_decay"),
        (|c| c.pair_every = 0, "pair_every"),
        (|c| c.history_size = 0, "history_size"),
        (
            |c| {
                c.guard = CurvatureGuard::Adaptive {
                    share: 1.0,
                    low: 0.0,
                    high: 1.0,
                    least: 0.0,
                }
            },
            "guard.share",
        ),
        (
            |c| {
                c.guard = CurvatureGuard::Adaptive {
                    share: 0.0,
                    low: 0.0,
                    high: 0.5,
                    least: 0.0,
                }
            },
            "guard.high",
        ),
        (|c| c.clip = Some(0.0), "clip"),
    ] {
        let error = refused(change);
        assert!(error.starts_with(&format!("{name} = ")), "{error}");
    }
}
