//! L-BFGS on functions whose minima are known.
#![allow(clippy::unwrap_used)]

mod common;

use candle_core::Device;
use common::{Analytic, minimize, quadratic, rosenbrock};
use optim::LbfgsConfig;

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
