//! Progressive batching: how many samples the test asks for, what a growing batch brings, what the test
//! costs, and that its state is complete.

use candle_core::{Device, Var};
use optim::{
    Criterion, FusePvConfig, Gradient, Lbfgs, LbfgsConfig, LineSearch, Meter, Objective, Optimizer,
    Oracle, PairSource, Parameters, Result, StopReason,
};
use serde::Deserialize;

const D: usize = 5;
const SAMPLES: usize = 2000;

/// A row of features and its target: a line with errors.
fn sample(i: usize) -> ([f64; D], f64) {
    let at = |k: usize| ((i * 31 + k * 17) as f64 * 0.618).sin() * (1.0 + k as f64);
    let row: [f64; D] = std::array::from_fn(at);
    let error = ((i * 7919) as f64 * 12.9898).sin();
    (row, row.iter().sum::<f64>() + error)
}

/// The mean over samples from `from` on of φ(aᵢᵀx, bᵢ): half the square of the difference, or logistic.
struct Batch {
    x: Var,
    parameters: Parameters,
    logistic: bool,
    from: usize,
    count: usize,
}

impl Batch {
    fn new(count: usize) -> Self {
        let x = Var::zeros(D, candle_core::DType::F64, &Device::Cpu).unwrap();
        let parameters = Parameters::new([("x", x.clone())]).unwrap();
        Self {
            x,
            parameters,
            logistic: false,
            from: 0,
            count,
        }
    }

    /// φ, its derivative and the row of each sample of the batch.
    fn evaluated(&self) -> Vec<(f64, f64, [f64; D])> {
        let x = self.x.to_vec1::<f64>().unwrap();
        let evaluated = |i: usize| {
            let (row, target) = sample((self.from + i) % SAMPLES);
            let z: f64 = row.iter().zip(&x).map(|(a, x)| a * x).sum();
            if self.logistic {
                let sign = target.signum();
                let wrong = 1.0 / (1.0 + (sign * z).exp());
                ((-sign * z).exp().ln_1p(), -sign * wrong, row)
            } else {
                (0.5 * (z - target).powi(2), z - target, row)
            }
        };
        (0..self.count).map(evaluated).collect()
    }

    fn gradient(&self) -> [f64; D] {
        let evaluated = self.evaluated();
        let n = evaluated.len() as f64;
        std::array::from_fn(|k| evaluated.iter().map(|(_, r, row)| r * row[k] / n).sum())
    }

    /// The next batch, of at least `wanted` samples if so many are wanted.
    fn advance(&mut self, wanted: Option<u64>) {
        self.from += self.count;
        self.count = self.count.max(wanted.unwrap_or(0) as usize).min(SAMPLES);
    }
}

impl Objective for Batch {
    fn loss(&mut self) -> Result<f64> {
        Ok(self.sample_losses()?.iter().sum::<f64>() / self.count as f64)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let gradient = candle_core::Tensor::new(&self.gradient(), &Device::Cpu)?;
        Ok((
            self.loss()?,
            Gradient::new(&self.parameters, vec![gradient])?,
        ))
    }

    fn sample_losses(&mut self) -> Result<Vec<f64>> {
        Ok(self.evaluated().iter().map(|(loss, ..)| *loss).collect())
    }
}

fn config() -> LbfgsConfig {
    LbfgsConfig {
        max_iter: 1,
        line_search: LineSearch::Armijo,
        pairs: PairSource::FullOverlap,
        sample_test: Some(0.9),
        ..LbfgsConfig::default()
    }
}

fn step(optimizer: &mut dyn Optimizer, problem: &mut Batch, meter: &mut Meter) {
    optimizer.step(&mut Oracle::new(problem, meter)).unwrap();
}

/// The variance of the samples' gradients along `v`, over θ²·‖Hg‖⁴.
fn needed(problem: &Batch, v: &[f64], direction: &[f64]) -> f64 {
    let evaluated = problem.evaluated();
    let slopes: Vec<f64> = evaluated
        .iter()
        .map(|(_, r, row)| r * row.iter().zip(v).map(|(a, v)| a * v).sum::<f64>())
        .collect();
    let n = slopes.len() as f64;
    let mean = slopes.iter().sum::<f64>() / n;
    let variance = slopes.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let square: f64 = direction.iter().map(|d| d * d).sum();
    variance / (0.9 * square).powi(2)
}

#[test]
fn the_first_test_is_the_formula_with_the_identity() {
    for count in [2, 10, 300] {
        let mut problem = Batch::new(count);
        // Near the minimum of the whole, so that the batch's gradient is mostly noise.
        let near = candle_core::Tensor::full(1.02, D, &Device::Cpu).unwrap();
        problem.x.set(&near).unwrap();
        let gradient = problem.gradient();
        let expected = needed(&problem, &gradient, &gradient)
            .ceil()
            .max(count as f64);
        let mut lbfgs = config().build(&problem.parameters).unwrap();
        assert_eq!(lbfgs.samples_wanted(), None);
        let mut meter = Meter::new();
        step(&mut lbfgs, &mut problem, &mut meter);
        let wanted = lbfgs.samples_wanted().map_or(count as f64, |n| n as f64);
        assert!(
            (wanted - expected).abs() <= 1.0 + 1e-5 * expected,
            "{wanted} {expected}"
        );
        assert_eq!(meter.counts().loss_evaluations, 2);
        let failed = u64::from(expected > count as f64);
        assert_eq!(lbfgs.counts().sample_tests_failed, failed);
        assert_eq!(lbfgs.samples_wanted().is_some(), failed == 1);
    }
}

/// The solution of AᵀA/n·s = `g` over all samples, by Gauss.
fn solve(g: &[f64]) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = (0..D)
        .map(|j| {
            let mut row = vec![0.0; D + 1];
            for i in 0..SAMPLES {
                let (a, _) = sample(i);
                for k in 0..D {
                    row[k] += a[j] * a[k] / SAMPLES as f64;
                }
            }
            row[D] = g[j];
            row
        })
        .collect();
    for j in 0..D {
        let pivot = rows[j].clone();
        for (i, row) in rows.iter_mut().enumerate() {
            if i != j {
                let factor = row[j] / pivot[j];
                for k in 0..=D {
                    row[k] -= factor * pivot[k];
                }
            }
        }
    }
    (0..D).map(|j| rows[j][D] / rows[j][j]).collect()
}

/// The whole's loss above its minimum after so many sample gradients.
fn excess(optimizer: &mut dyn Optimizer, grow: bool, budget: usize) -> f64 {
    let mut problem = Batch::new(20);
    problem.parameters = optimizer.parameters().clone();
    problem.x = problem.parameters.vars()[0].clone();
    let (mut meter, mut spent) = (Meter::new(), 0);
    while spent < budget {
        let before = meter.counts().evaluations();
        step(optimizer, &mut problem, &mut meter);
        spent += (meter.counts().evaluations() - before) as usize * problem.count;
        problem.advance(optimizer.samples_wanted().filter(|_| grow));
    }
    problem.count = SAMPLES;
    let loss = problem.loss().unwrap();
    let minimum = Batch::new(SAMPLES);
    let least = solve(&minimum.gradient().map(|g| -g));
    minimum
        .x
        .set(&candle_core::Tensor::new(least, &Device::Cpu).unwrap())
        .unwrap();
    let mut minimum = minimum;
    loss - minimum.loss().unwrap()
}

fn lbfgs() -> Lbfgs {
    config().build(&Batch::new(20).parameters).unwrap()
}

#[test]
fn a_growing_batch_gets_below_the_noise_of_the_first_one() {
    let fixed = excess(&mut lbfgs(), false, 100_000);
    let grown = excess(&mut lbfgs(), true, 100_000);
    println!("excess loss: fixed batch {fixed:.1e}, growing batch {grown:.1e}");
    assert!(grown < 1e-2 * fixed, "{grown:e} {fixed:e}");
    // As FUSE-PV's second phase, which asks for nothing while Adam acts.
    let parameters = Batch::new(20).parameters;
    let config = FusePvConfig {
        criterion: Criterion::Step(20),
        lbfgs: config(),
        ..FusePvConfig::default()
    };
    let mut fuse = config.build(&parameters).unwrap();
    assert!(excess(&mut fuse, true, 100_000) < 1e-2 * fixed);
}

#[test]
fn a_switch_wants_its_batch_from_its_first_step_on() {
    let with = |switch_batch, sample_test| FusePvConfig {
        criterion: Criterion::Step(3),
        switch_batch: Some(switch_batch),
        lbfgs: LbfgsConfig {
            sample_test,
            ..config()
        },
        ..FusePvConfig::default()
    };
    let parameters = Batch::new(20).parameters;
    let error = with(0, None).build(&parameters).unwrap_err().to_string();
    assert!(error.starts_with("switch_batch = 0"), "{error}");
    for (sample_test, least) in [(None, 50), (Some(0.01), 51)] {
        let mut problem = Batch::new(20);
        let mut fuse = with(50, sample_test).build(&problem.parameters).unwrap();
        for made in 0..6 {
            let wanted = fuse.samples_wanted();
            match made {
                0..3 => assert_eq!(wanted, None),
                3 => assert_eq!(wanted, Some(50)),
                _ => assert!(wanted >= Some(least) && wanted.is_some(), "{wanted:?}"),
            }
            let mut restored = with(50, sample_test).build(&problem.parameters).unwrap();
            restored.restore(&fuse.state().unwrap()).unwrap();
            assert_eq!(restored.samples_wanted(), wanted);
            step(&mut fuse, &mut problem, &mut Meter::new());
        }
    }
}

#[test]
fn an_objective_without_samples_is_refused() {
    let x = Var::new(&[1f64, 2.0], &Device::Cpu).unwrap();
    let parameters = Parameters::new([("x", x.clone())]).unwrap();
    let mut objective = optim::Loss::new(&parameters, || x.sqr()?.sum_all());
    let mut lbfgs = config().build(&parameters).unwrap();
    let error = lbfgs.step(&mut Oracle::new(&mut objective, &mut Meter::new()));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("implement `sample_losses`")
    );
    assert_eq!(x.to_vec1::<f64>().unwrap(), [1.0, 2.0]);
}

#[derive(Deserialize)]
struct Golden {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    loss: String,
    first: usize,
    theta: f64,
    lr: f64,
    steps: Vec<GoldenStep>,
}

#[derive(Deserialize)]
struct GoldenStep {
    samples: usize,
    wanted: Option<u64>,
    failed: bool,
    /// Where the step begins.
    x: Vec<f64>,
}

#[test]
fn batches_grow_as_by_the_formula_with_dense_matrices_and_the_gradients_of_samples() {
    let golden: Golden =
        serde_json::from_str(include_str!("../golden/progressive_batching.json")).unwrap();
    let (mut grown, mut steps) = (0, 0);
    for run in &golden.runs {
        let mut problem = Batch::new(run.first);
        problem.logistic = run.loss == "logistic";
        let mut lbfgs = LbfgsConfig {
            lr: run.lr,
            history_size: 5,
            line_search: LineSearch::Fixed,
            sample_test: Some(run.theta),
            ..config()
        }
        .build(&problem.parameters)
        .unwrap();
        let mut failed = 0;
        for (i, expected) in run.steps.iter().enumerate() {
            let at = format!("{} of {}, step {i}", run.loss, run.first);
            assert_eq!(problem.count, expected.samples, "{at}");
            let x = problem.x.to_vec1::<f64>().unwrap();
            for (x, expected) in x.iter().zip(&expected.x) {
                let error = (x - expected).abs();
                assert!(error <= 1e-10 * expected.abs().max(1.0), "{at}: {error:e}");
            }
            step(&mut lbfgs, &mut problem, &mut Meter::new());
            failed += u64::from(expected.failed);
            assert_eq!(lbfgs.counts().sample_tests_failed, failed, "{at}");
            let wanted = lbfgs.samples_wanted().map(|n| n.min(SAMPLES as u64));
            assert_eq!(wanted, expected.wanted, "{at}");
            problem.advance(lbfgs.samples_wanted());
        }
        grown += failed;
        steps += run.steps.len();
    }
    assert!(grown > 20 && steps > 200, "{grown} of {steps}");
}

#[test]
fn a_test_counts_against_both_limits_and_leaves_room_for_the_move() {
    // One evaluation where the step begins, two for the test.
    for (budget, tests) in [(1, 0), (2, 0), (3, 0), (4, 1), (5, 1)] {
        let mut problem = Batch::new(20);
        let mut lbfgs = config().build(&problem.parameters).unwrap();
        let mut meter = Meter::with_budget(budget);
        step(&mut lbfgs, &mut problem, &mut meter);
        assert_eq!(lbfgs.counts().sample_tests, tests, "{budget}");
        assert!(meter.counts().evaluations() <= budget);
        let moved = problem.x.to_vec1::<f64>().unwrap() != [0.0; D];
        assert_eq!(moved, budget > 1, "{budget}");
    }
    // A search that no trial satisfies spends what `max_eval` allows, the test included.
    let mut problem = Batch::new(20);
    let narrow = LbfgsConfig {
        max_eval: Some(6),
        c1: 0.99,
        c2: 0.999,
        lr: 1e6,
        ..config()
    };
    let mut lbfgs = narrow.build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    step(&mut lbfgs, &mut problem, &mut meter);
    assert_eq!(lbfgs.counts().failed_searches, 1);
    let counts = meter.counts();
    assert_eq!(
        (counts.gradient_evaluations, counts.loss_evaluations),
        (4, 2)
    );
    for (theta, max_eval, key) in [(0.0, 4, "sample_test"), (0.9, 3, "max_eval")] {
        let refused = LbfgsConfig {
            sample_test: Some(theta),
            max_eval: Some(max_eval),
            ..config()
        };
        let error = refused.build(&problem.parameters).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn what_was_asked_for_once_is_not_taken_back() {
    let strict = LbfgsConfig {
        sample_test: Some(0.01),
        ..config()
    };
    // From the point where most is noise, and from far away, where less is needed.
    let wanted = |starts: &[f64]| {
        let mut problem = Batch::new(20);
        let mut lbfgs = strict.clone().build(&problem.parameters).unwrap();
        for start in starts {
            let start = candle_core::Tensor::full(*start, D, &Device::Cpu).unwrap();
            problem.x.set(&start).unwrap();
            lbfgs.clear();
            step(&mut lbfgs, &mut problem, &mut Meter::new());
        }
        assert_eq!(lbfgs.counts().sample_tests_failed, starts.len() as u64);
        lbfgs.samples_wanted().unwrap()
    };
    let (near, far) = (wanted(&[1.02]), wanted(&[0.0]));
    assert!(far < near, "{far} {near}");
    assert_eq!(wanted(&[1.02, 0.0]), near);
    assert_eq!(wanted(&[0.0, 1.02]), near);
}

#[test]
fn a_test_leaves_nothing_behind() {
    // Without noise in its size the batch of all samples is followed as without the test.
    let paths = [None, Some(0.9)].map(|sample_test| {
        let mut problem = Batch::new(SAMPLES);
        let settings = LbfgsConfig {
            sample_test,
            ..config()
        };
        let mut lbfgs = settings.build(&problem.parameters).unwrap();
        for _ in 0..8 {
            step(&mut lbfgs, &mut problem, &mut Meter::new());
        }
        let x = problem.x.to_vec1::<f64>().unwrap();
        x.into_iter().map(f64::to_bits).collect::<Vec<_>>()
    });
    assert_eq!(paths[0], paths[1]);
    // A step that ends between test and move stays where it is.
    let mut problem = Batch::new(20);
    let stopping = LbfgsConfig {
        tolerances: optim::Tolerances::Absolute,
        tolerance_change: 1e9,
        ..config()
    };
    let mut lbfgs = stopping.build(&problem.parameters).unwrap();
    let mut meter = Meter::new();
    let made = lbfgs.step(&mut Oracle::new(&mut problem, &mut meter));
    assert_eq!(made.unwrap().stop, StopReason::ChangeTolerance);
    assert_eq!(lbfgs.counts().sample_tests, 1);
    assert_eq!(problem.x.to_vec1::<f64>().unwrap(), [0.0; D]);
}

#[test]
fn a_run_goes_on_bit_for_bit_from_its_state_on_batches_of_the_same_size() {
    let run = |interrupted: bool| {
        let mut problem = Batch::new(20);
        let mut optimizer = config().build(&problem.parameters).unwrap();
        let mut sizes = Vec::new();
        for _ in 0..25 {
            let made = optimizer
                .step(&mut Oracle::new(&mut problem, &mut Meter::new()))
                .unwrap();
            assert_ne!(made.stop, StopReason::NonFinite);
            if interrupted {
                let mut restored = config().build(&problem.parameters).unwrap();
                restored.restore(&optimizer.state().unwrap()).unwrap();
                assert_eq!(restored.counts(), optimizer.counts());
                optimizer = restored;
            }
            sizes.push(problem.count);
            problem.advance(optimizer.samples_wanted());
        }
        let x = problem.x.to_vec1::<f64>().unwrap();
        (sizes, x.into_iter().map(f64::to_bits).collect::<Vec<_>>())
    };
    let (sizes, x) = run(false);
    assert_eq!(run(true), (sizes.clone(), x));
    assert!(sizes[0] == 20 && sizes.last() > Some(&100), "{sizes:?}");
}
