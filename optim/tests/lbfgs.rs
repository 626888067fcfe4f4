//! L-BFGS on functions whose minima are known.
#![allow(clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device};
use common::{Analytic, Run, minimize, quadratic, rosenbrock};
use optim::{HistoryPrecision, Lbfgs, LbfgsConfig, LineSearch, Meter, Optimizer, Oracle};

#[test]
fn chained_rosenbrock_is_solved_to_high_accuracy() {
    let mut problem = Analytic::new(rosenbrock, &common::rosenbrock_start(20), &Device::Cpu);
    let config = LbfgsConfig {
        tolerance_grad: 1e-12,
        tolerance_change: 0.0,
        ..LbfgsConfig::default()
    };
    let run = minimize(&mut problem, config, 1e-14, 600);
    assert!(run.loss <= 1e-14, "{run:?}");
    println!("rosenbrock {run:?}");
}

#[test]
fn more_history_never_hurts_on_an_ill_conditioned_quadratic() {
    let evaluations = |history_size| {
        let (f, start) = quadratic(50, 1e4);
        let mut problem = Analytic::new(f, &start, &Device::Cpu);
        let config = LbfgsConfig {
            history_size,
            max_iter: 1,
            max_eval: Some(20),
            tolerance_grad: 0.0,
            tolerance_change: 0.0,
            ..LbfgsConfig::default()
        };
        let run = minimize(&mut problem, config, 4e-12, 4000);
        assert!(run.loss <= 4e-12, "m = {history_size}: {run:?}");
        // Each step evaluates its start once more than one long step would.
        run.evaluations - run.iterations
    };
    let mut best = u64::MAX;
    for history_size in 1..=20 {
        let evaluations = evaluations(history_size);
        println!("m = {history_size}: {evaluations}");
        // Memory changes the path, so a few evaluations either way mean nothing.
        assert!(
            evaluations as f64 <= 1.1 * best as f64,
            "m = {history_size}: {evaluations} evaluations, {best} with less"
        );
        best = best.min(evaluations);
    }
    assert!(best <= 1562);
}

/// One step of `max_iter` iterations on a quadratic of 60 parameters in f32.
fn one_step(config: LbfgsConfig, max_iter: u64) -> (Lbfgs, u64) {
    let (f, start) = quadratic(60, 100.0);
    let mut problem = Analytic::with_dtype(f, &start, DType::F32, &Device::Cpu);
    let config = LbfgsConfig {
        max_iter,
        max_eval: Some(1000),
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..config
    };
    let mut lbfgs = config.build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    let step = lbfgs.step(&mut Oracle::new(&mut problem, &mut meter));
    assert_eq!(step.unwrap().iterations, max_iter);
    (lbfgs, meter.counts().evaluations())
}

#[test]
fn an_iteration_passes_over_a_full_history_twice() {
    for m in [1, 2, 5, 10] {
        let history_size = m as usize;
        let fixed = LbfgsConfig {
            history_size,
            line_search: LineSearch::Fixed,
            lr: 0.1,
            ..LbfgsConfig::default()
        };
        let searching = LbfgsConfig {
            history_size,
            ..LbfgsConfig::default()
        };
        for (config, of_trial) in [(fixed, (3, 1)), (searching, (4, 1))] {
            let (shorter, evaluations) = one_step(config.clone(), 12);
            let (longer, more) = one_step(config, 13);
            let (shorter, longer) = (shorter.vector_passes(), longer.vector_passes());
            let trials = more - evaluations;
            // Pair and direction, the start of the move, and each trial's move and products.
            let reads = 4 * m + 4 + 1 + of_trial.0 * trials;
            let writes = 3 + 1 + of_trial.1 * trials;
            assert_eq!(longer.reads - shorter.reads, reads, "m = {m}");
            assert_eq!(longer.writes - shorter.writes, writes, "m = {m}");
        }
    }
}

#[test]
fn memory_is_two_vectors_a_pair_and_a_few() {
    let d = 60;
    for m in [1, 5, 10] {
        let bytes = [HistoryPrecision::Full, HistoryPrecision::Bf16].map(|history_precision| {
            let config = LbfgsConfig {
                history_size: m,
                history_precision,
                ..LbfgsConfig::default()
            };
            let (lbfgs, _) = one_step(config, 12);
            assert_eq!(lbfgs.pairs_held(), m);
            // The spare pair, direction, start of the move and the gradients at both its ends.
            assert_eq!(lbfgs.state_elements(), (2 * m as u64 + 2 + 4) * d);
            let tensors = lbfgs.state().unwrap().tensors;
            let pairs = tensors.iter().filter(|(name, _)| name.starts_with("pair."));
            let bytes = pairs.map(|(_, pair)| pair.elem_count() * pair.dtype().size_in_bytes());
            bytes.sum::<usize>()
        });
        assert_eq!(bytes[0], 2 * m * d as usize * 4);
        assert_eq!(bytes[1], bytes[0] / 2);
    }
}

/// Evaluations to a loss, on f32 parameters; printed by
/// `cargo test -p optim --test lbfgs bf16 -- --nocapture`.
#[test]
fn a_bf16_history_costs_few_evaluations_more() {
    let run = |f: &dyn Fn(&[f64]) -> (f64, Vec<f64>), start: &[f64], history_precision| -> Run {
        let mut problem = Analytic::with_dtype(f, start, DType::F32, &Device::Cpu);
        let config = LbfgsConfig {
            history_precision,
            tolerance_grad: 0.0,
            tolerance_change: 0.0,
            ..LbfgsConfig::default()
        };
        minimize(&mut problem, config, 1e-6, 2000)
    };
    println!("| problem | f32 history | bf16 history |");
    println!("|---|---|---|");
    let (gentle, start_gentle) = quadratic(100, 1e2);
    let (steep, start_steep) = quadratic(100, 1e4);
    let problems: [(&str, &dyn Fn(&[f64]) -> (f64, Vec<f64>), &[f64]); 3] = [
        ("quadratic, d = 100, κ = 1e2", &gentle, &start_gentle),
        ("quadratic, d = 100, κ = 1e4", &steep, &start_steep),
        (
            "Rosenbrock, d = 20",
            &rosenbrock,
            &common::rosenbrock_start(20),
        ),
    ];
    for (name, f, start) in problems {
        let [full, half] = [HistoryPrecision::Full, HistoryPrecision::Bf16]
            .map(|precision| run(f, start, precision));
        println!("| {name} | {} | {} |", full.evaluations, half.evaluations);
        assert!(
            full.loss <= 1e-6 && half.loss <= 1e-6,
            "{name}: {full:?} {half:?}"
        );
        assert!(
            half.evaluations <= 2 * full.evaluations,
            "{name}: {full:?} {half:?}"
        );
    }
}
