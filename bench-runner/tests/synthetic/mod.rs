//! Synthetic results: made-up curves of known shape for tests of figures and reports. No number here
//! was measured.

use std::collections::BTreeMap;

use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::problem::{ProblemConfig, QuadraticConfig};
use bench_experiment::run::{CellId, CurvePoint, Outcome, RunRecord, SwitchPoint};
use bench_experiment::store::{Manifest, OptimizerInfo, OptimizerVariant, ProblemInfo, Results};
use optim::{Counts, Criterion, FusePvConfig, PairCounts, Phase};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const OPTIMIZERS: [&str; 6] = [
    "sgd",
    "adam",
    "lbfgs",
    "fuse-pv/epoch",
    "fuse-pv/grad-norm",
    "fuse-pv/loss-decrease",
];

/// Results of three problems: a function, a quadratic on which SGD diverges, and a classifier.
pub fn results(seeds: u64) -> Results {
    let problem = |label: &str, title: &str, loss: &str, accuracy: bool, target| ProblemInfo {
        label: label.into(),
        title: title.into(),
        loss_name: loss.into(),
        has_accuracy: accuracy,
        target,
        dimension: if accuracy { 109_386 } else { 20 },
        budget: 2000,
        data: if accuracy {
            vec!["synthetic-digits".into()]
        } else {
            Vec::new()
        },
        suite: "synthetic".into(),
        config: if accuracy {
            classifier(&[])
        } else {
            quadratic(20, 1e4, 0.0)
        },
    };
    let problems = vec![
        problem(
            "rosenbrock-20d",
            "Rosenbrock function, 20 dimensions (synthetic)",
            "function value",
            false,
            Some(1e-6),
        ),
        problem(
            "quadratic-k1e4",
            "Quadratic, condition number 1e4 (synthetic)",
            "function value",
            false,
            Some(1e-8),
        ),
        problem(
            "mnist-mlp",
            "Digits, multilayer perceptron (synthetic)",
            "training cross-entropy (nats)",
            true,
            Some(0.1),
        ),
    ];
    let optimizers: Vec<OptimizerInfo> = OPTIMIZERS
        .iter()
        .map(|label| OptimizerInfo {
            label: (*label).into(),
            settings: match *label {
                "sgd" => "lr 0.01".into(),
                "adam" => "lr 0.001, β1 0.9, β2 0.999, ε 1e-8".into(),
                "lbfgs" => "history 10, strong Wolfe, at most 20 iterations a step".into(),
                label => format!("Adam lr 0.001, then L-BFGS history 10; switch: {label}"),
            },
            variants: vec![OptimizerVariant {
                problems: Vec::new(),
                config: config(label),
            }],
            imported: Vec::new(),
        })
        .collect();
    let mut records = Vec::new();
    for problem in &problems {
        for optimizer in &optimizers {
            for seed in 0..seeds {
                records.push(run(&problem.label, &optimizer.label, seed, 50));
            }
        }
    }
    Results {
        suite: "synthetic".into(),
        description: "Made-up results for tests; no number here was measured.".into(),
        caveats: vec!["Synthetic: every curve is made up.".into()],
        tuning: None,
        stability: None,
        problems,
        optimizers,
        records: records.into(),
    }
}

/// The settings behind a label.
fn config(label: &str) -> OptimizerConfig {
    let fuse = |criterion| {
        OptimizerConfig::from(FusePvConfig {
            criterion,
            ..FusePvConfig::default()
        })
    };
    match label {
        "sgd" => OptimizerConfig::from(optim::SgdConfig::default()),
        "adam" => OptimizerConfig::from(optim::AdamConfig::default()),
        "lbfgs" => OptimizerConfig::from(optim::LbfgsConfig::default()),
        "fuse-pv/grad-norm" => fuse(Criterion::GradNorm {
            threshold: 0.5,
            relative: false,
        }),
        "fuse-pv/loss-decrease" => fuse(Criterion::LossDecrease {
            window: 10,
            min_relative_decrease: 0.01,
        }),
        _ => fuse(Criterion::Epoch(5)),
    }
}

/// The settings of a quadratic.
pub fn quadratic(dimension: usize, condition: f64, noise: f64) -> ProblemConfig {
    ProblemConfig::from(QuadraticConfig {
        dimension,
        condition,
        noise,
        steps_per_epoch: 10,
    })
}

/// The settings of a classifier with some faults of the authors' script.
pub fn classifier(faults: &[&str]) -> ProblemConfig {
    let text = format!(
        "kind = \"classification\"\ndata = \"digits\"\nbatch_size = 64\nfaults = {faults:?}\n\
         model = {{ kind = \"linear\", inputs = 64, classes = 10 }}"
    );
    toml::from_str(&text).unwrap()
}

/// One made-up run with `points` measurements.
pub fn run(problem: &str, optimizer: &str, seed: u64, points: u64) -> RunRecord {
    let stream = problem
        .bytes()
        .chain(optimizer.bytes())
        .fold(seed, |hash, byte| {
            hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)
        });
    let mut rng = ChaCha8Rng::seed_from_u64(stream);
    let classes = problem == "mnist-mlp";
    let (first_rate, floor) = if classes {
        (0.0025, 0.02)
    } else {
        (0.003, 1e-14)
    };
    let switches_at = match optimizer {
        "lbfgs" => Some(0),
        "fuse-pv/epoch" => Some(400),
        "fuse-pv/grad-norm" => Some(300 + rng.random_range(0..200)),
        "fuse-pv/loss-decrease" => Some(600 + rng.random_range(0..300)),
        _ => None,
    };
    let diverges = problem == "quadratic-k1e4" && optimizer == "sgd" && seed.is_multiple_of(2);
    let mut loss: f64 = if classes {
        2.4
    } else {
        40.0 + 10.0 * rng.random::<f64>()
    };
    let start = loss;
    let (mut epoch, mut seconds) = (0.0, 0.0);
    let mut curve = Vec::new();
    let mut outcome = Outcome::Completed {
        reason: "budget of evaluations spent".into(),
    };
    let stride = (2000 / points).max(1);
    for step in 0..=points {
        let evaluations = step * stride;
        let second = switches_at.is_some_and(|at| evaluations >= at);
        if step > 0 {
            epoch += stride as f64 / if second { 500.0 } else { 100.0 };
            seconds += stride as f64 * if second { 2.1e-3 } else { 1.3e-3 };
            let rate = match optimizer {
                "sgd" => 0.5 * first_rate,
                _ if second => 3.0 * first_rate,
                _ => first_rate,
            };
            let noise = 0.3 * (rng.random::<f64>() - 0.5);
            loss = if diverges {
                loss * 30.0
            } else {
                floor + (loss - floor) * (-(rate * stride as f64) * (1.0 + noise)).exp()
            };
        }
        if !(loss < 1e30) {
            outcome = Outcome::Diverged {
                step,
                value: "inf".into(),
            };
            break;
        }
        curve.push(CurvePoint {
            epoch,
            sample_gradients: classes.then_some(32 * evaluations),
            seconds,
            test_loss: classes.then_some(loss * 1.1 + 0.02),
            accuracy: classes.then_some(0.98 - 0.88 * (loss / start)),
            gradient_norm: Some(loss.sqrt()),
            criterion: (optimizer == "fuse-pv/grad-norm" && !second).then(|| loss.sqrt()),
            threshold: (optimizer == "fuse-pv/grad-norm" && !second).then_some(0.5),
            phase: if second {
                Phase::SecondOrder
            } else {
                Phase::FirstOrder
            },
            ..CurvePoint::of_loss(evaluations, loss)
        });
    }
    let gradient_evaluations = curve.last().map_or(0, |point| point.gradient_evaluations);
    RunRecord {
        cell: CellId {
            problem: problem.into(),
            optimizer: optimizer.into(),
            seed,
        },
        outcome,
        counts: Counts {
            loss_evaluations: 0,
            gradient_evaluations,
        },
        seconds: curve.last().map_or(0.0, |point| point.seconds),
        pairs: PairCounts {
            stored: gradient_evaluations / 10,
            skipped: 3,
            damped: 0,
        },
        switches: switches_at
            .filter(|at| *at > 0)
            .map(|at| SwitchPoint {
                step: at,
                epoch: at as f64 / 100.0,
                gradient_evaluations: at,
                sample_gradients: None,
                seconds: at as f64 * 1.3e-3,
                to: Phase::SecondOrder,
            })
            .into_iter()
            .collect(),
        curve,
    }
}

/// A manifest to go with [`results`].
pub fn manifest(seeds: u64) -> Manifest {
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    };
    Manifest {
        schema_version: 2,
        command: ["bench-runner", "run", "synthetic"]
            .map(Into::into)
            .to_vec(),
        version: "0.1.0".into(),
        git_revision: "0123abcd".into(),
        lock_file_sha256: "00".repeat(32),
        versions: pairs(&[("rustc", "1.95.0"), ("candle-core", "0.11.1")]),
        cpu: "a synthetic processor, AVX2".into(),
        system: "Linux, glibc 2.36".into(),
        memory_gib: 16.0,
        device: "cpu".into(),
        threads: 2,
        jobs: 1,
        seeds: (0..seeds).collect(),
        data_sha256: pairs(&[("synthetic-digits", &"11".repeat(32))]),
        started: "2026-01-01T00:00:00Z".into(),
        wall_seconds: 123.4,
        experiment: "[suite]\nname = \"synthetic\"\nseeds = 5\n".into(),
        complete: true,
    }
}
