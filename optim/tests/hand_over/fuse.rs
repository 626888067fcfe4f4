//! FUSE and FUSE-PV: what they equal, when they switch, what they cost, and that they resume.

use crate::common::{Analytic, Function, quadratic, rosenbrock, rosenbrock_start};
use candle_core::DType;
use optim::{
    AdamConfig, Criterion, FuseConfig, FusePv, FusePvConfig, Gradient, Handover, LbfgsConfig,
    LineSearch, Meter, Objective, Optimizer, Oracle, PairSource, Phase, Policy, Result, Step,
    StopReason, Theta, WarmUp,
};
use proptest::prelude::*;

fn adam(learning_rate: f64) -> AdamConfig {
    AdamConfig {
        learning_rate,
        ..AdamConfig::default()
    }
}

fn rosenbrock_problem() -> Analytic<impl Function> {
    Analytic::new(rosenbrock, &rosenbrock_start(8))
}

fn step(optimizer: &mut dyn Optimizer, objective: &mut dyn Objective, meter: &mut Meter) -> Step {
    optimizer.step(&mut Oracle::new(objective, meter)).unwrap()
}

/// The parameters' bits after each of `steps` steps.
fn path<F: Function>(
    mut problem: Analytic<F>,
    build: impl Fn(&optim::Parameters) -> Box<dyn Optimizer>,
    steps: usize,
) -> Vec<Vec<u64>> {
    let mut optimizer = build(&problem.parameters);
    let mut meter = Meter::new();
    let mut bits = Vec::new();
    for _ in 0..steps {
        step(&mut *optimizer, &mut problem, &mut meter);
        bits.push(problem.values().into_iter().map(f64::to_bits).collect());
    }
    bits
}

#[test]
fn weights_of_one_and_zero_are_adam_and_lbfgs_bit_for_bit() {
    let lbfgs = LbfgsConfig {
        max_iter: 2,
        ..LbfgsConfig::default()
    };
    let fuse = |theta| {
        let config = FuseConfig {
            theta: Theta::Constant(theta),
            adam: adam(0.01),
            lbfgs: lbfgs.clone(),
        };
        path(
            rosenbrock_problem(),
            |parameters| Box::new(config.clone().build(parameters).unwrap()),
            20,
        )
    };
    let pv = |criterion: Criterion| {
        let config = FusePvConfig {
            criterion,
            adam: adam(0.01),
            lbfgs: lbfgs.clone(),
            ..FusePvConfig::default()
        };
        path(
            rosenbrock_problem(),
            |parameters| Box::new(config.clone().build(parameters).unwrap()),
            20,
        )
    };
    let only_adam = path(
        rosenbrock_problem(),
        |parameters| Box::new(adam(0.01).build(parameters).unwrap()),
        20,
    );
    let only_lbfgs = path(
        rosenbrock_problem(),
        |parameters| Box::new(lbfgs.clone().build(parameters).unwrap()),
        20,
    );
    assert!(fuse(1.0) == only_adam && pv(Criterion::Never) == only_adam);
    assert!(fuse(0.0) == only_lbfgs && pv(Criterion::Immediately) == only_lbfgs);
    let blend = fuse(0.5);
    assert!(blend != only_adam && blend != only_lbfgs);
}

#[test]
fn a_blend_is_the_weighted_mean_of_both_updates() {
    let start = rosenbrock_start(8);
    let lbfgs = LbfgsConfig {
        max_iter: 1,
        ..LbfgsConfig::default()
    };
    let end = |optimizer: &dyn Fn(&optim::Parameters) -> Box<dyn Optimizer>| -> Vec<f64> {
        let bits = path(rosenbrock_problem(), optimizer, 1);
        bits[0].iter().copied().map(f64::from_bits).collect()
    };
    let x_adam = end(&|parameters| Box::new(adam(0.1).build(parameters).unwrap()));
    let x_lbfgs = end(&|parameters| Box::new(lbfgs.clone().build(parameters).unwrap()));
    let config = FuseConfig {
        theta: Theta::Constant(0.3),
        adam: adam(0.1),
        lbfgs: lbfgs.clone(),
    };
    let blend = end(&|parameters| Box::new(config.clone().build(parameters).unwrap()));
    for i in 0..start.len() {
        let expected = 0.3 * x_adam[i] + 0.7 * x_lbfgs[i];
        assert!((blend[i] - expected).abs() < 1e-15);
    }
}

#[test]
fn blends_reach_the_minimum_with_every_source_of_pairs() {
    for pairs in [
        PairSource::SameBatch,
        PairSource::Carried,
        PairSource::FullOverlap,
    ] {
        let (f, start) = quadratic(20, 100.0);
        let mut problem = Analytic::new(f, &start);
        let config = FuseConfig {
            theta: Theta::Linear {
                from: 1.0,
                to: 0.0,
                steps: 30,
            },
            adam: adam(0.05),
            lbfgs: LbfgsConfig {
                max_iter: 1,
                pairs,
                tolerance_change: 0.0,
                ..LbfgsConfig::default()
            },
        };
        let mut fuse = config.build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        let losses: Vec<f64> = (0..150)
            .map(|_| step(&mut fuse, &mut problem, &mut meter).loss)
            .collect();
        assert!(losses[149] < 1e-10, "{pairs:?}: {}", losses[149]);
    }
}

/// A scripted objective of one parameter: each evaluation returns the next loss, gradient 1.
struct Script {
    parameters: optim::Parameters,
    losses: std::vec::IntoIter<f64>,
}

impl Objective for Script {
    fn loss(&mut self) -> Result<f64> {
        Ok(self.losses.next().unwrap())
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let gradient = self.parameters.vars()[0].ones_like()?;
        let gradient = Gradient::new(&self.parameters, vec![gradient])?;
        Ok((self.loss()?, gradient))
    }
}

#[test]
fn the_shipped_rule_is_three_epochs_then_the_previous_loss_below_two() {
    let problem = Analytic::new(|x: &[f64]| (x[0], vec![1.0]), &[0.0]);
    let config = FusePvConfig {
        // A fixed step of one iteration evaluates once, so that the script tells each step's loss.
        lbfgs: LbfgsConfig {
            max_iter: 1,
            line_search: LineSearch::Fixed,
            ..FusePvConfig::as_shipped().lbfgs
        },
        ..FusePvConfig::as_shipped()
    };
    let mut fuse = config.build(&problem.parameters).unwrap();
    // Two batches an epoch.
    let losses = [5.0, 1.0, 1.0, 1.0, 3.0, 1.9, 2.5, 1.0, 2.0, 1.5, 1.5, 9.0];
    let mut script = Script {
        parameters: problem.parameters.clone(),
        losses: Vec::from(losses).into_iter(),
    };
    let mut meter = Meter::new();
    let mut previous = f64::INFINITY;
    for (batch, loss) in losses.into_iter().enumerate() {
        let epoch = batch as u64 / 2;
        if batch % 2 == 0 {
            fuse.start_epoch(epoch);
        }
        let expected = if epoch >= 3 && previous < 2.0 {
            Phase::SecondOrder
        } else {
            Phase::FirstOrder
        };
        assert_eq!(fuse.phase(), expected, "batch {batch}");
        let step = step(&mut fuse, &mut script, &mut meter);
        assert_eq!((step.loss, step.phase), (loss, expected), "batch {batch}");
        previous = loss;
    }
    let switches: Vec<u64> = fuse
        .diagnostics()
        .switches
        .iter()
        .map(|switch| switch.step)
        .collect();
    assert_eq!(switches, [6, 7, 8, 9, 10]);
    let record = &fuse.diagnostics().criteria[1];
    assert_eq!((record.step, record.epoch, record.value), (7, 3, 2.5));
    assert_eq!((record.threshold, record.fired), (2.0, false));
    assert_eq!(record.criterion, "loss level");
}

/// Runs `criterion` on scripted losses, one step an epoch; returns the step of the switch.
fn switch_step(criterion: Criterion, losses: &[f64]) -> Option<u64> {
    let problem = Analytic::new(|x: &[f64]| (x[0], vec![1.0]), &[0.0]);
    let config = FusePvConfig {
        criterion,
        lbfgs: LbfgsConfig {
            max_iter: 1,
            line_search: LineSearch::Fixed,
            ..LbfgsConfig::default()
        },
        ..FusePvConfig::default()
    };
    let mut fuse = config.build(&problem.parameters).unwrap();
    let mut script = Script {
        parameters: problem.parameters.clone(),
        losses: Vec::from(losses).into_iter(),
    };
    let mut meter = Meter::new();
    for epoch in 0..losses.len() as u64 {
        fuse.start_epoch(epoch);
        step(&mut fuse, &mut script, &mut meter);
    }
    fuse.diagnostics()
        .switches
        .first()
        .map(|switch| switch.step)
}

#[test]
fn each_criterion_fires_where_its_definition_says() {
    let falling: Vec<f64> = (0..12).map(|i| 10.0 * 0.5f64.powi(i)).collect();
    let level = |threshold| Criterion::LossLevel { threshold };
    assert_eq!(switch_step(Criterion::Epoch(5), &falling), Some(5));
    assert_eq!(switch_step(Criterion::Step(3), &falling), Some(3));
    assert_eq!(switch_step(Criterion::Evaluations(3), &falling), Some(3));
    assert_eq!(switch_step(Criterion::Never, &falling), None);
    assert_eq!(switch_step(Criterion::Immediately, &falling), Some(0));
    // 10, 5, 2.5, 1.25: the fourth loss is the first below 2, seen before the fifth step.
    assert_eq!(switch_step(level(2.0), &falling), Some(4));
    // The gradient's norm is 1 throughout.
    let norm = |threshold, relative| Criterion::GradNorm {
        threshold,
        relative,
    };
    assert_eq!(switch_step(norm(1.0, false), &falling), Some(1));
    assert_eq!(switch_step(norm(0.9, true), &falling), None);
    let plateau = [8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let decrease = Criterion::LossDecrease {
        window: 2,
        min_relative_decrease: 0.01,
    };
    // Means of two: (1 + 1) against (1 + 1) first at steps 3 to 6, before step 7.
    assert_eq!(switch_step(decrease.clone(), &plateau), Some(7));
    // Means of two fall by 6, 4.5, 2.25, 1.125, 0.5.
    let slowing = [10.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.25, 0.25];
    let progress = |share| Criterion::Progress { window: 2, share };
    assert_eq!(switch_step(progress(0.5), &slowing), Some(6));
    assert_eq!(switch_step(progress(0.1), &slowing), Some(8));
    assert_eq!(switch_step(progress(0.5), &[1.0; 8]), None);
    let all = Criterion::AllOf(vec![Criterion::Step(2), level(2.0)]);
    assert_eq!(switch_step(all, &falling), Some(4));
    let any = Criterion::AnyOf(vec![Criterion::Step(2), level(2.0)]);
    assert_eq!(switch_step(any, &falling), Some(2));
}

#[test]
fn a_share_of_the_budget_is_counted_in_evaluations() {
    let config = FusePvConfig {
        criterion: Criterion::AnyOf(vec![Criterion::Budget(0.25), Criterion::Never]),
        ..FusePvConfig::default()
    };
    let mut problem = rosenbrock_problem();
    let refused = config.clone().build(&problem.parameters).err().unwrap();
    assert!(refused.to_string().contains("criterion.budget = 0.25"));
    let beyond = FusePvConfig {
        criterion: Criterion::Budget(1.5),
        ..config.clone()
    };
    assert!(beyond.with_budget(40).build(&problem.parameters).is_err());
    // Warm pairs cost an evaluation more a step, from the switch on.
    for handover in [Handover::Cold, Handover::WarmPairs] {
        let config = FusePvConfig {
            handover,
            ..config.clone()
        };
        let mut fuse = config.with_budget(40).build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        while fuse.diagnostics().criteria.iter().all(|seen| !seen.fired) {
            step(&mut fuse, &mut problem, &mut meter);
        }
        let fired = fuse.diagnostics().criteria.iter().find(|seen| seen.fired);
        let fired = fired.unwrap();
        assert_eq!((fired.step, fired.value, fired.threshold), (10, 10.0, 10.0));
        let state = fuse.state().unwrap();
        let mut resumed = fuse.config().clone().build(&problem.parameters).unwrap();
        resumed.restore(&state).unwrap();
        assert_eq!(resumed.phase(), fuse.phase());
    }
}

/// ½‖x‖² whose gradient gets noise of standard deviation `noise` in each component, from a fixed
/// sequence.
fn noisy(noise: f64) -> Analytic<impl Function> {
    let draws = std::cell::Cell::new(0u64);
    let f = move |x: &[f64]| {
        let gradient = x.iter().map(|x| {
            // Sums of uniform draws of splitmix64: nearly normal, variance 1.
            let sum: f64 = (0..12)
                .map(|_| {
                    draws.set(draws.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
                    let mut z = draws.get();
                    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
                })
                .sum();
            x + noise * (sum - 6.0)
        });
        (x.iter().map(|x| 0.5 * x * x).sum(), gradient.collect())
    };
    Analytic::new(f, &[1.0; 400])
}

#[test]
fn the_noise_scale_is_the_ratio_of_covariance_and_squared_mean() {
    for noise in [0.1, 1.0, 2.0] {
        let mut problem = noisy(noise);
        let config = FusePvConfig {
            criterion: Criterion::NoiseScale { threshold: 1e-9 },
            // So small a rate that the mean stays at (1, …, 1).
            adam: adam(1e-9),
            ..FusePvConfig::default()
        };
        let mut fuse = config.build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        for _ in 0..200 {
            step(&mut fuse, &mut problem, &mut meter);
        }
        let values: Vec<f64> = fuse.diagnostics().criteria[100..]
            .iter()
            .map(|record| record.value)
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        // tr(Σ)/‖G‖² = 400·noise²/400; 100 dependent estimates from 400 components each.
        let expected = noise * noise;
        assert!(
            (mean - expected).abs() < 0.1 * expected,
            "{mean} instead of {expected}"
        );
    }
}

#[test]
fn before_the_switch_it_costs_what_adam_costs() {
    for (handover, warm) in [
        (Handover::Cold, false),
        (Handover::AdamDiagonal, false),
        (Handover::WarmPairs, true),
    ] {
        let (mut a, mut b) = (rosenbrock_problem(), rosenbrock_problem());
        let mut adam = adam(1e-3).build(&a.parameters).unwrap();
        let config = FusePvConfig {
            criterion: Criterion::AllOf(vec![
                Criterion::Step(10),
                Criterion::GradNorm {
                    threshold: 1e9,
                    relative: false,
                },
            ]),
            handover,
            ..FusePvConfig::default()
        };
        let mut fuse = config.build(&b.parameters).unwrap();
        let (mut adam_meter, mut fuse_meter) = (Meter::new(), Meter::new());
        for _ in 0..10 {
            step(&mut adam, &mut a, &mut adam_meter);
            step(&mut fuse, &mut b, &mut fuse_meter);
            assert_eq!(fuse.vector_passes(), adam.vector_passes());
            assert_eq!(fuse.state_elements(), adam.state_elements());
            assert_eq!(fuse_meter.counts(), adam_meter.counts());
        }
        // The criterion holds from here on; warm pairs take ten more steps of Adam.
        for _ in 0..10 {
            let phase = step(&mut fuse, &mut b, &mut fuse_meter).phase;
            let expected = if warm {
                Phase::FirstOrder
            } else {
                Phase::SecondOrder
            };
            assert_eq!(phase, expected);
        }
        step(&mut fuse, &mut b, &mut fuse_meter);
        let switch = &fuse.diagnostics().switches[0];
        let expected = if warm { (20, 10) } else { (10, 0) };
        assert_eq!((switch.step, switch.pairs), expected, "{handover:?}");
        // Adam's moments are released by the one-way switch.
        let lbfgs = fuse.lbfgs().unwrap();
        assert_eq!(fuse.state_elements(), lbfgs.state_elements());
    }
}

fn evaluations_after_switch(handover: Handover) -> u64 {
    let (f, start) = quadratic(100, 1e3);
    let mut problem = Analytic::new(f, &start);
    let config = FusePvConfig {
        criterion: Criterion::Step(50),
        handover,
        adam: adam(0.05),
        lbfgs: LbfgsConfig {
            tolerance_change: 0.0,
            ..LbfgsConfig::default()
        },
        ..FusePvConfig::default()
    };
    let mut fuse = config.build(&problem.parameters).unwrap();
    let mut meter = Meter::with_budget(3000);
    loop {
        let step = step(&mut fuse, &mut problem, &mut meter);
        if step.final_loss.unwrap_or(step.loss) < 1e-10 {
            return meter.counts().evaluations();
        }
    }
}

#[test]
fn no_handover_stalls() {
    for handover in [Handover::Cold, Handover::WarmPairs, Handover::AdamDiagonal] {
        let evaluations = evaluations_after_switch(handover);
        println!("{handover:?}: {evaluations}");
        assert!(evaluations < 1000, "{handover:?}: {evaluations}");
    }
}

fn any_pv() -> impl Strategy<Value = FusePvConfig> {
    let handover = prop::sample::select(vec![
        Handover::Cold,
        Handover::WarmPairs,
        Handover::AdamDiagonal,
    ]);
    let policy = prop::sample::select(vec![
        Policy::OneWay,
        Policy::Reversible { keep_memory: true },
        Policy::Reversible { keep_memory: false },
    ]);
    let criterion = prop::sample::select(vec![
        Criterion::Step(4),
        Criterion::LossLevel { threshold: 60.0 },
        Criterion::NoiseScale { threshold: 0.5 },
        Criterion::LossDecrease {
            window: 2,
            min_relative_decrease: 0.2,
        },
        Criterion::Progress {
            window: 2,
            share: 0.9,
        },
        Criterion::ProjectedRate { tolerance: 0.5 },
    ]);
    let pairs = prop::sample::select(vec![
        PairSource::SameBatch,
        PairSource::Carried,
        PairSource::FullOverlap,
    ]);
    let search = prop::sample::select(vec![
        LineSearch::StrongWolfe,
        LineSearch::Armijo,
        LineSearch::Fixed,
    ]);
    (handover, policy, criterion, pairs, search, 1..4u64).prop_map(
        |(handover, policy, criterion, pairs, line_search, max_iter)| FusePvConfig {
            criterion,
            switch_batch: None,
            handover,
            policy,
            warm_up: WarmUp {
                epochs: 0,
                steps: 2,
            },
            adam: adam(0.02),
            lbfgs: LbfgsConfig {
                history_size: 3,
                max_iter,
                max_eval: Some(6),
                lr: 0.5,
                pairs,
                line_search,
                ..LbfgsConfig::default()
            },
            momentum_lbfgs: None,
        },
    )
}

fn build(config: &FusePvConfig, problem: &Analytic<impl Function>) -> FusePv {
    config.clone().build(&problem.parameters).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_run_resumes_bit_for_bit_from_a_file_at_any_step(config in any_pv(), cut in 0..14usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let (mut uninterrupted, mut first, mut second) =
            (rosenbrock_problem(), rosenbrock_problem(), rosenbrock_problem());
        let mut meter = Meter::new();
        let mut fuse = build(&config, &uninterrupted);
        for _ in 0..18 {
            step(&mut fuse, &mut uninterrupted, &mut meter);
        }
        let mut before = build(&config, &first);
        for _ in 0..cut {
            step(&mut before, &mut first, &mut meter);
        }
        let mut state = before.state().unwrap();
        state.insert_parameters(&first.parameters).unwrap();
        state.save(&path).unwrap();

        let state = optim::state::State::load(&path).unwrap();
        let mut after = build(&config, &second);
        state.restore_parameters(&second.parameters).unwrap();
        after.restore(&state).unwrap();
        for _ in cut..18 {
            step(&mut after, &mut second, &mut meter);
        }
        prop_assert_eq!(
            uninterrupted.values().into_iter().map(f64::to_bits).collect::<Vec<_>>(),
            second.values().into_iter().map(f64::to_bits).collect::<Vec<_>>()
        );
        // As text, since NaN is not equal to itself.
        prop_assert_eq!(format!("{:?}", fuse.diagnostics().criteria), format!("{:?}", after.diagnostics().criteria));
        prop_assert_eq!(fuse.diagnostics().switches, after.diagnostics().switches);
        prop_assert_eq!(fuse.vector_passes(), after.vector_passes());
    }

    #[test]
    fn the_budget_is_never_overrun_and_never_an_error(config in any_pv(), budget in 1..40u64) {
        let mut problem = rosenbrock_problem();
        let mut fuse = build(&config, &problem);
        let mut meter = Meter::with_budget(budget);
        while meter.remaining() > 0 {
            let before = meter.counts().evaluations();
            step(&mut fuse, &mut problem, &mut meter);
            prop_assert!(meter.counts().evaluations() > before);
        }
        prop_assert_eq!(meter.counts().evaluations(), budget);
        prop_assert!(problem.values().iter().all(|x| x.is_finite()));
    }
}

#[test]
fn a_wall_of_nan_ends_in_a_finite_point() {
    // log-barrier: undefined for x ≤ 0, minimum at 1; a fixed step of 1 would jump over the wall.
    let f = |x: &[f64]| (x[0] - x[0].ln(), vec![1.0 - 1.0 / x[0]]);
    for line_search in [
        LineSearch::Fixed,
        LineSearch::Armijo,
        LineSearch::StrongWolfe,
    ] {
        for (dtype, max_iter) in [(DType::F64, 1), (DType::F32, 5), (DType::BF16, 5)] {
            let mut problem = Analytic::with_dtype(f, &[30.0], dtype);
            let config = LbfgsConfig {
                lr: 100.0,
                max_iter,
                line_search,
                ..LbfgsConfig::default()
            };
            let mut lbfgs = config.build(&problem.parameters).unwrap();
            let mut meter = Meter::new();
            for _ in 0..6 {
                let step = step(&mut lbfgs, &mut problem, &mut meter);
                let x = problem.values()[0];
                // Only a move that was not evaluated may end beyond the wall, and not for long.
                assert!(
                    x.is_finite() && x > 0.0
                        || line_search == LineSearch::Fixed && step.loss.is_finite(),
                    "{line_search:?} {dtype:?}: {x} {step:?}"
                );
            }
        }
    }
}

#[test]
fn impossible_settings_are_refused() {
    let problem = rosenbrock_problem();
    let refused = |config: FusePvConfig| config.build(&problem.parameters).unwrap_err().to_string();
    let damped = FusePvConfig {
        handover: Handover::AdamDiagonal,
        lbfgs: LbfgsConfig {
            guard: optim::CurvatureGuard::Powell(0.2),
            ..LbfgsConfig::default()
        },
        ..FusePvConfig::default()
    };
    assert!(refused(damped).starts_with("handover = adam-diagonal is out of range"));
    let empty = FusePvConfig {
        criterion: Criterion::AnyOf(vec![]),
        ..FusePvConfig::default()
    };
    assert!(refused(empty).contains("criterion = any of"));
    let decayed = FusePvConfig {
        criterion: Criterion::NoiseScale { threshold: 1.0 },
        adam: AdamConfig {
            weight_decay: 0.1,
            ..AdamConfig::default()
        },
        ..FusePvConfig::default()
    };
    assert!(refused(decayed).contains("weight_decay = 0.1"));
    let criterion = |criterion| {
        refused(FusePvConfig {
            criterion,
            ..FusePvConfig::default()
        })
    };
    let decrease = |window, min_relative_decrease| Criterion::LossDecrease {
        window,
        min_relative_decrease,
    };
    let theta = |theta| {
        let config = FuseConfig {
            theta,
            ..FuseConfig::default()
        };
        let error = config.build(&problem.parameters).unwrap_err();
        error.to_string()
    };
    let nested = |change: fn(&mut FusePvConfig)| {
        let mut config = FusePvConfig::default();
        change(&mut config);
        refused(config)
    };
    let norm = Criterion::GradNorm {
        threshold: -0.5,
        relative: true,
    };
    for (found, expected) in [
        (
            criterion(norm.clone()),
            "threshold = -0.5 is out of range: expected a finite number >= 0",
        ),
        (
            criterion(Criterion::AllOf(vec![Criterion::Never, norm])),
            "threshold = -0.5 is out of range: expected a finite number >= 0",
        ),
        (
            criterion(Criterion::LossLevel {
                threshold: f64::NAN,
            }),
            "threshold = NaN is out of range: expected a finite number",
        ),
        (
            criterion(Criterion::Progress {
                window: 3,
                share: 1.0,
            }),
            "share = 1 is out of range: expected 0 <= share < 1",
        ),
        (
            criterion(Criterion::ProjectedRate { tolerance: 0.0 }),
            "tolerance = 0 is out of range: expected a finite number > 0",
        ),
        (
            criterion(decrease(0, 0.1)),
            "window = 0 is out of range: expected at least 1",
        ),
        (
            criterion(decrease(3, -0.1)),
            "min_relative_decrease = -0.1 is out of range: expected a finite number >= 0",
        ),
        (
            criterion(Criterion::NoiseScale { threshold: 0.0 }),
            "threshold = 0 is out of range: expected a finite number > 0",
        ),
        (
            theta(Theta::Constant(1.5)),
            "theta = 1.5 is out of range: expected 0 <= θ <= 1",
        ),
        (
            theta(Theta::Constant(f64::NAN)),
            "theta = NaN is out of range: expected 0 <= θ <= 1",
        ),
        (
            theta(Theta::Linear {
                from: -0.1,
                to: 1.0,
                steps: 5,
            }),
            "theta = -0.1 is out of range: expected 0 <= θ <= 1",
        ),
        (
            theta(Theta::Linear {
                from: 0.0,
                to: 2.0,
                steps: 5,
            }),
            "theta = 2 is out of range: expected 0 <= θ <= 1",
        ),
        (
            nested(|c| c.adam.beta2 = 1.0),
            "beta2 = 1 is out of range: expected 0 <= value < 1",
        ),
        (
            nested(|c| c.lbfgs.history_size = 0),
            "history_size = 0 is out of range: expected at least 1",
        ),
    ] {
        assert_eq!(found, expected);
    }
    let error = serde_json::from_str::<FusePvConfig>(r#"{"criterium": "never"}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `criterium`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After a hand-over from anywhere, by whatever curvature and search: the loss after the first
    /// step is the one it tells, no higher than before, and lower by Armijo's condition if the
    /// search was satisfied.
    #[test]
    fn the_first_step_after_a_hand_over_never_raises_the_loss(
        learning_rate in 1e-4..1f64,
        steps in 1..15u64,
        handover in prop::sample::select(vec![
            Handover::Cold,
            Handover::WarmPairs,
            Handover::AdamDiagonal,
        ]),
        line_search in prop::sample::select(vec![LineSearch::Armijo, LineSearch::StrongWolfe]),
        max_eval in 2..6u64,
        scale in prop::sample::select(vec![1e-12, 1.0, 1e12]),
    ) {
        let f = move |x: &[f64]| {
            let (f, g) = rosenbrock(x);
            (scale * f, g.into_iter().map(|g| scale * g).collect())
        };
        let mut problem = Analytic::new(f, &rosenbrock_start(6));
        let config = FusePvConfig {
            criterion: Criterion::Step(steps),
            handover,
            adam: adam(learning_rate),
            lbfgs: LbfgsConfig {
                max_iter: 1,
                max_eval: Some(max_eval),
                history_size: 3,
                line_search,
                ..LbfgsConfig::default()
            },
            ..FusePvConfig::default()
        };
        let c1 = config.lbfgs.c1;
        let mut fuse = config.build(&problem.parameters).unwrap();
        let mut meter = Meter::new();
        while fuse.phase() == Phase::FirstOrder {
            step(&mut fuse, &mut problem, &mut meter);
        }
        let before = problem.values();
        let made = step(&mut fuse, &mut problem, &mut meter);
        prop_assert_eq!(made.phase, Phase::SecondOrder);
        let after = problem.loss().unwrap();
        prop_assert_eq!(made.final_loss, Some(after));
        prop_assert!(after <= made.loss);
        let satisfied = fuse.lbfgs().unwrap().counts().satisfied_searches == 1;
        if satisfied {
            let gradient = f(&before).1;
            let moved = problem.values().into_iter().zip(before).map(|(after, before)| after - before);
            let slope: f64 = moved.zip(gradient).map(|(moved, g)| moved * g).sum();
            prop_assert!(slope < 0.0);
            prop_assert!(after <= made.loss + c1 * slope + 1e-14 * made.loss);
        }
    }
}

/// Where the second phase ends on 1e-12 times Rosenbrock's function of two variables, and how often
/// it stopped by a tolerance before.
fn small_loss(lbfgs: LbfgsConfig) -> (Vec<f64>, Vec<StopReason>) {
    let f = |x: &[f64]| {
        let (f, g) = rosenbrock(x);
        (1e-12 * f, g.into_iter().map(|g| 1e-12 * g).collect())
    };
    let mut problem = Analytic::new(f, &rosenbrock_start(2));
    let config = FusePvConfig {
        criterion: Criterion::Step(10),
        adam: adam(0.01),
        lbfgs,
        ..FusePvConfig::default()
    };
    let mut fuse = config.build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    let mut stops = Vec::new();
    while stops.len() < 20 && stops.last() != Some(&StopReason::GradientTolerance) {
        let made = step(&mut fuse, &mut problem, &mut meter);
        if made.phase == Phase::SecondOrder {
            stops.push(made.stop);
        }
    }
    (problem.values(), stops)
}

#[test]
fn a_small_loss_is_minimized_unless_the_tolerances_are_absolute() {
    for line_search in [LineSearch::StrongWolfe, LineSearch::Armijo] {
        let (x, stops) = small_loss(LbfgsConfig {
            line_search,
            ..LbfgsConfig::default()
        });
        assert!(
            x.iter().all(|x| (x - 1.0).abs() < 1e-6),
            "{line_search:?}: {x:?} {stops:?}"
        );
        // PyTorch's tolerances hold where Adam stopped, ten steps of 0.01 from the start.
        let (x, stops) = small_loss(LbfgsConfig {
            line_search,
            ..LbfgsConfig::torch()
        });
        assert_eq!(stops, [StopReason::GradientTolerance]);
        assert!(x[0] < -1.0);
    }
}

#[test]
fn where_the_second_phase_stops_does_not_depend_on_the_loss_s_unit() {
    // A power of two changes no digit; the first gradient is longer than 1 in all of them, so that
    // the first move is of one length.
    let run = |scale: f64| {
        let f = move |x: &[f64]| {
            let (f, g) = rosenbrock(x);
            (
                scale * f,
                g.into_iter().map(|g| scale * g).collect::<Vec<_>>(),
            )
        };
        let mut problem = Analytic::new(f, &rosenbrock_start(4));
        let config = LbfgsConfig {
            max_iter: 300,
            ..LbfgsConfig::default()
        };
        let mut lbfgs = config.build(&problem.parameters).unwrap();
        let made = step(&mut lbfgs, &mut problem, &mut Meter::new());
        (made.stop, made.iterations, problem.values())
    };
    let expected = run(1.0);
    assert_eq!(expected.0, StopReason::GradientTolerance);
    for power in [-6, 7, 40] {
        assert_eq!(run(2f64.powi(power)), expected);
    }
}

#[test]
fn the_projected_rate_is_that_of_swats() {
    // From Adam's own path: γ = pᵀp/(-pᵀg), its running mean, and their relative difference.
    let steps = 30;
    let mut problem = rosenbrock_problem();
    let mut adam_alone = adam(0.01).build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    let (mut mean, mut expected) = (0.0, Vec::new());
    for k in 1..=steps {
        let before = problem.values();
        step(&mut adam_alone, &mut problem, &mut meter);
        let gradient = rosenbrock(&before).1;
        let moved = problem.values();
        let moved: Vec<f64> = moved.iter().zip(&before).map(|(a, b)| a - b).collect();
        let square: f64 = moved.iter().map(|p| p * p).sum();
        let slope: f64 = moved.iter().zip(&gradient).map(|(p, g)| p * g).sum();
        let rate = -square / slope;
        mean = 0.999 * mean + 0.001 * rate;
        let corrected = mean / (1.0 - 0.999f64.powi(k));
        expected.push(((corrected - rate) / corrected).abs());
    }
    let mut problem = rosenbrock_problem();
    let config = FusePvConfig {
        criterion: Criterion::ProjectedRate { tolerance: 1e-9 },
        adam: adam(0.01),
        ..FusePvConfig::default()
    };
    let mut fuse = config.build(&problem.parameters).unwrap();
    for _ in 0..steps {
        step(&mut fuse, &mut problem, &mut meter);
    }
    let seen = fuse.diagnostics().criteria.to_vec();
    // Judged before each step, from the second rate on.
    assert_eq!(seen.len(), 28);
    for (seen, expected) in seen.iter().zip(&expected[1..]) {
        let error = (seen.value - expected).abs();
        assert!(
            error <= 1e-9 * (1.0 + expected),
            "{} {expected}",
            seen.value
        );
    }
    // The measurement's vectors and passes: six reads and two writes a step beside Adam's.
    let d = 8;
    assert_eq!(fuse.state_elements(), 4 * d);
    let (with, without) = (fuse.vector_passes(), adam_alone.vector_passes());
    let more = (with.reads - without.reads, with.writes - without.writes);
    assert_eq!(more, (6 * steps as u64, 2 * steps as u64));
    // Where the gradient is constant so is Adam's rate: the criterion holds once it has two.
    let linear = |x: &[f64]| (x.iter().sum(), vec![1.0; x.len()]);
    let mut problem = Analytic::new(linear, &[0.0; 3]);
    let mut fuse = FusePvConfig {
        criterion: Criterion::ProjectedRate { tolerance: 1e-6 },
        ..FusePvConfig::default()
    }
    .build(&problem.parameters)
    .unwrap();
    for _ in 0..4 {
        step(&mut fuse, &mut problem, &mut meter);
    }
    assert_eq!(fuse.diagnostics().switches[0].step, 2);
    assert_eq!(
        fuse.state_elements(),
        fuse.lbfgs().unwrap().state_elements()
    );
}
