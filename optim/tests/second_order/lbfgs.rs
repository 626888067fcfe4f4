//! L-BFGS on functions whose minima are known.

use crate::common::{Analytic, Function, Run, minimize, quadratic, rosenbrock};
use candle_core::{DType, Device, Tensor, Var};
use optim::{
    CurvatureGuard, EvaluationLimit, Gradient, HistoryPrecision, InitialScaling, Lbfgs,
    LbfgsConfig, LineSearch, Meter, Objective, Optimizer, Oracle, PairSource, Parameters, Result,
    Schedule, Scheduled, StopReason,
};
use proptest::prelude::*;

#[test]
fn chained_rosenbrock_is_solved_to_high_accuracy() {
    let mut problem = Analytic::new(rosenbrock, &crate::common::rosenbrock_start(20));
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
        let mut problem = Analytic::new(f, &start);
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
    let mut problem = Analytic::with_dtype(f, &start, DType::F32);
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
/// `cargo test -p optim --test optimizers bf16 -- --nocapture`.
#[test]
fn a_bf16_history_costs_few_evaluations_more() {
    let run = |f: &dyn Fn(&[f64]) -> (f64, Vec<f64>), start: &[f64], history_precision| -> Run {
        let mut problem = Analytic::with_dtype(f, start, DType::F32);
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
            &crate::common::rosenbrock_start(20),
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

#[test]
fn settings_out_of_range_are_named() {
    let f64s = Analytic::new(rosenbrock, &crate::common::rosenbrock_start(2));
    let refused = |change: fn(&mut LbfgsConfig)| {
        let mut config = LbfgsConfig::default();
        change(&mut config);
        config.build(&f64s.parameters).unwrap_err().to_string()
    };
    for (found, expected) in [
        (
            refused(|c| c.lr = 0.0),
            "lr = 0 is out of range: expected a finite number > 0",
        ),
        (
            refused(|c| c.max_iter = 0),
            "max_iter = 0 is out of range: expected at least 1",
        ),
        (
            refused(|c| c.max_eval = Some(1)),
            "max_eval = 1 is out of range: expected at least 1, 2 for a line search under the strict limit, and 2 more for a `sample_test`",
        ),
        (
            refused(|c| {
                c.max_eval = Some(0);
                c.evaluation_limit = EvaluationLimit::Torch26;
            }),
            "max_eval = 0 is out of range: expected at least 1, 2 for a line search under the strict limit, and 2 more for a `sample_test`",
        ),
        (
            refused(|c| c.tolerance_grad = -1e-7),
            "tolerance_grad = -0.0000001 is out of range: expected a finite number >= 0",
        ),
        (
            refused(|c| c.tolerance_change = f64::NAN),
            "tolerance_change = NaN is out of range: expected a finite number >= 0",
        ),
        (
            refused(|c| c.history_size = 0),
            "history_size = 0 is out of range: expected at least 1",
        ),
        (
            refused(|c| c.c1 = 0.0),
            "c1 = 0 is out of range: expected 0 < c1 < 1",
        ),
        (
            refused(|c| c.c1 = f64::NAN),
            "c1 = NaN is out of range: expected 0 < c1 < 1",
        ),
        (
            refused(|c| c.c2 = 1e-5),
            "c2 = 0.00001 is out of range: expected c1 < c2 < 1",
        ),
        (
            refused(|c| c.c2 = 1.0),
            "c2 = 1 is out of range: expected c1 < c2 < 1",
        ),
        (
            refused(|c| c.loss_rounding = -1e-6),
            "loss_rounding = -0.000001 is out of range: expected a finite number >= 0",
        ),
        (
            refused(|c| c.guard = CurvatureGuard::Cautious(f64::INFINITY)),
            "guard = inf is out of range: expected a finite number >= 0",
        ),
        (
            refused(|c| c.guard = CurvatureGuard::Absolute(-1.0)),
            "guard = -1 is out of range: expected a finite number >= 0",
        ),
        (
            refused(|c| c.guard = CurvatureGuard::Powell(1.0)),
            "guard = 1 is out of range: expected 0 < μ < 1",
        ),
        (
            refused(|c| c.scaling = InitialScaling::Constant(0.0)),
            "scaling = 0 is out of range: expected a finite number > 0",
        ),
        (
            refused(|c| c.history_precision = HistoryPrecision::Bf16),
            "history_precision = bf16 is out of range: expected full beside f64 parameters",
        ),
    ] {
        assert_eq!(found, expected);
    }
    let error = serde_json::from_str::<LbfgsConfig>(r#"{"history": 5}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `history`"));
    let mut lbfgs = LbfgsConfig::default().build(&f64s.parameters).unwrap();
    let error = lbfgs.set_learning_rate(-1.0).unwrap_err().to_string();
    assert!(error.starts_with("learning_rate = -1 is out of range"));
}

/// 1 + ½ Σ kᵢ xᵢ² with kᵢ from 1 to 1000, whose value is rounded to f32 and whose gradient is not.
struct Rounded(Var, Parameters);

impl Objective for Rounded {
    fn loss(&mut self) -> Result<f64> {
        Ok(self.loss_and_gradient()?.0)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let x: Vec<f64> = self.0.to_vec1()?;
        let last = (x.len() - 1) as f64;
        let curvature = |i: usize| 1e3f64.powf(i as f64 / last);
        let gradient: Vec<f64> = (0..x.len()).map(|i| curvature(i) * x[i]).collect();
        let loss: f64 = 1.0 + 0.5 * gradient.iter().zip(&x).map(|(g, x)| g * x).sum::<f64>();
        let gradient = Tensor::new(gradient, &Device::Cpu)?;
        Ok((
            f64::from(loss as f32),
            Gradient::new(&self.1, vec![gradient])?,
        ))
    }
}

#[test]
fn slopes_lead_on_where_the_loss_has_no_digits_left() {
    let smallest_gradient = |loss_rounding: f64| {
        let x = Var::new(&[1f64; 30], &Device::Cpu).unwrap();
        let parameters = Parameters::new([("x", x.clone())]).unwrap();
        let mut objective = Rounded(x, parameters.clone());
        let config = LbfgsConfig {
            tolerance_grad: 0.0,
            tolerance_change: 0.0,
            loss_rounding,
            ..LbfgsConfig::default()
        };
        let mut lbfgs = config.build(&parameters).unwrap();
        let mut meter = Meter::with_budget(1000);
        let mut norm = f64::INFINITY;
        while meter.remaining() > 1 && norm > 1e-12 {
            let step = lbfgs.step(&mut Oracle::new(&mut objective, &mut meter));
            norm = norm.min(step.unwrap().gradient_norm);
        }
        (norm, lbfgs.counts().failed_searches)
    };
    let (stalled, failed) = smallest_gradient(0.0);
    assert!(
        stalled > 1e-5 && failed > 10,
        "{stalled:e}, {failed} failed"
    );
    let (reached, failed) = smallest_gradient(1e-6);
    assert!(reached < 1e-12, "{reached:e}, {failed} failed");
}

/// A schedule may start or end at 0: such a step moves nothing, and the next one goes on.
#[test]
fn a_step_length_of_zero_moves_nothing() {
    for line_search in [
        LineSearch::StrongWolfe,
        LineSearch::Armijo,
        LineSearch::Fixed,
    ] {
        let (f, start) = quadratic(5, 10.0);
        let mut problem = Analytic::new(f, &start);
        let config = LbfgsConfig {
            line_search,
            max_iter: 3,
            ..LbfgsConfig::default()
        };
        let lbfgs = config.build(&problem.parameters).unwrap();
        let warm_up = Schedule::WarmUp {
            steps: 2.into(),
            start_factor: 0.0,
            then: Box::default(),
        };
        let mut lbfgs = Scheduled::new(lbfgs, warm_up).unwrap();
        let mut meter = Meter::new();
        let first = lbfgs
            .step(&mut Oracle::new(&mut problem, &mut meter))
            .unwrap();
        assert_eq!(problem.values(), start, "{line_search:?}");
        for _ in 0..3 {
            lbfgs
                .step(&mut Oracle::new(&mut problem, &mut meter))
                .unwrap();
        }
        let last = problem.loss().unwrap();
        assert!(last < 0.1 * first.loss, "{line_search:?}: {last}");
    }
}

/// Passes evaluations on and keeps them: the point, the loss and the gradient.
struct Recorder<F> {
    problem: Analytic<F>,
    evaluated: Vec<(Vec<f64>, f64, Vec<f64>)>,
}

impl<F: Function> Objective for Recorder<F> {
    fn loss(&mut self) -> Result<f64> {
        self.problem.loss()
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let (loss, gradient) = self.problem.loss_and_gradient()?;
        let components = gradient.tensors()[0].to_vec1()?;
        self.evaluated
            .push((self.problem.values(), loss, components));
        Ok((loss, gradient))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// ½ Σ λᵢ (xᵢ − 1)² over a batch, with another λ where only the samples shared with the batch
/// before count.
struct Batch {
    x: Var,
    parameters: Parameters,
    batch: [f64; 3],
    shared: [f64; 3],
}

impl Batch {
    fn gradient(&self, curvature: [f64; 3]) -> Vec<f64> {
        let x: Vec<f64> = self.x.to_vec1().unwrap();
        x.iter()
            .zip(curvature)
            .map(|(x, l)| l * (x - 1.0))
            .collect()
    }

    fn as_tensors(&self, gradient: Vec<f64>) -> Result<Gradient> {
        Gradient::new(&self.parameters, vec![Tensor::new(gradient, &Device::Cpu)?])
    }
}

impl Objective for Batch {
    fn loss(&mut self) -> Result<f64> {
        let x: Vec<f64> = self.x.to_vec1()?;
        let terms = x.iter().zip(self.batch);
        Ok(terms.map(|(x, l)| 0.5 * l * (x - 1.0).powi(2)).sum())
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        Ok((self.loss()?, self.as_tensors(self.gradient(self.batch))?))
    }

    fn overlap_gradient(&mut self) -> Result<Gradient> {
        self.as_tensors(self.gradient(self.shared))
    }
}

/// Where the second step goes tells which curvature y holds: −H g with Nocedal's H of the one pair
/// (Nocedal & Wright 2006, equation 7.16), on the samples that each source names.
#[test]
fn a_pair_has_the_curvature_of_the_samples_that_its_source_names() {
    let (first, second, shared) = ([1.0, 4.0, 9.0], [2.0, 3.0, 8.0], [1.5, 5.0, 7.0]);
    for (pairs, curvature, more) in [
        (PairSource::FullOverlap, second, 1),
        (PairSource::Overlap, shared, 2),
    ] {
        let config = LbfgsConfig {
            lr: 0.5,
            max_iter: 1,
            max_eval: Some(4),
            line_search: LineSearch::Fixed,
            pairs,
            ..LbfgsConfig::default()
        };
        let x = Var::new(&[2.0, -1.0, 0.5], &Device::Cpu).unwrap();
        let parameters = Parameters::new([("x", x.clone())]).unwrap();
        let mut lbfgs = config.build(&parameters).unwrap();
        let values = || x.to_vec1::<f64>().unwrap();
        let mut problem = Batch {
            x: x.clone(),
            parameters,
            batch: first,
            shared: [f64::NAN; 3],
        };
        let mut meter = Meter::new();
        let start = values();
        lbfgs
            .step(&mut Oracle::new(&mut problem, &mut meter))
            .unwrap();
        assert_eq!(meter.counts().evaluations(), 1);
        let middle = values();
        (problem.batch, problem.shared) = (second, shared);
        let gradient = problem.gradient(second);
        lbfgs
            .step(&mut Oracle::new(&mut problem, &mut meter))
            .unwrap();
        assert_eq!(meter.counts().evaluations(), 2 + more, "{pairs:?}");

        let s: Vec<f64> = middle.iter().zip(&start).map(|(b, a)| b - a).collect();
        let y: Vec<f64> = s.iter().zip(curvature).map(|(s, l)| l * s).collect();
        let (sy, yy) = (dot(&s, &y), dot(&y, &y));
        // q = (I − y sᵀ/sᵀy) g, r = γ q, H g = (I − s yᵀ/sᵀy) r + s sᵀg/sᵀy
        let sg = dot(&s, &gradient);
        let r: Vec<f64> = gradient
            .iter()
            .zip(&y)
            .map(|(g, y)| sy / yy * (g - y * sg / sy))
            .collect();
        let yr = dot(&y, &r);
        for ((end, middle), (r, s)) in values().iter().zip(&middle).zip(r.iter().zip(&s)) {
            let expected = middle - 0.5 * (r + s * (sg - yr) / sy);
            assert!(
                (end - expected).abs() < 1e-14,
                "{pairs:?}: {end} {expected}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each iteration of the whole optimizer: the move is one of descent, and where its end is
    /// accepted by the search it meets both of Wolfe's conditions.
    #[test]
    fn every_accepted_step_satisfies_the_strong_wolfe_conditions(
        start in prop::collection::vec(-2.0..2.0f64, 2..8),
        c2 in 0.1..0.9f64,
        lr in 0.1..3.0f64,
        history_size in 1..6usize,
    ) {
        let config = LbfgsConfig {
            c2,
            lr,
            history_size,
            max_iter: 1,
            max_eval: Some(60),
            tolerance_change: 0.0,
            ..LbfgsConfig::default()
        };
        let c1 = config.c1;
        let problem = Analytic::new(rosenbrock, &start);
        let mut lbfgs = config.build(&problem.parameters).unwrap();
        let mut recorder = Recorder { problem, evaluated: Vec::new() };
        let mut meter = Meter::new();
        let mut accepted = 0;
        for _ in 0..25 {
            recorder.evaluated.clear();
            let step = lbfgs.step(&mut Oracle::new(&mut recorder, &mut meter)).unwrap();
            // Below this, differences of losses are rounding; at the local minimum as well, which
            // the function has beside its global one from four variables on, and whose loss is
            // about 4.
            let at_minimum = step.gradient_norm.powi(2) < 1e-10 * step.loss;
            if step.stop != StopReason::MaxIterations || step.loss < 1e-8 || at_minimum {
                break;
            }
            prop_assert_eq!(lbfgs.counts().satisfied_searches, lbfgs.counts().searches);
            let end = recorder.problem.values();
            let (start, loss, gradient) = &recorder.evaluated[0];
            let at_end = recorder.evaluated.iter().find(|(x, _, _)| *x == end);
            let (_, end_loss, end_gradient) = at_end.expect("the end was evaluated");
            let s: Vec<f64> = end.iter().zip(start).map(|(a, b)| a - b).collect();
            let slope = dot(gradient, &s);
            let rounding = 1e-12 * loss;
            prop_assert!(slope < 0.0);
            prop_assert!(*end_loss <= loss + c1 * slope + rounding);
            prop_assert!(dot(end_gradient, &s).abs() <= -c2 * slope * (1.0 + 1e-9) + rounding);
            accepted += 1;
        }
        prop_assert!(accepted > 3);
    }
}
