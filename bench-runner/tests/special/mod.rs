//! Made-up results with known comparisons: a grid of quadratics, and a network with a fault.

use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::run::{Outcome, RunRecord};
use bench_experiment::store::{OptimizerInfo, OptimizerVariant, ProblemInfo, Results};
use optim::FusePvConfig;

use crate::synthetic::{classifier, quadratic, results, run};

/// A run that was measured at 10 and 100 evaluations.
fn measured_twice(problem: &str, optimizer: &str, seed: u64, losses: [f64; 2]) -> RunRecord {
    let mut record = run(problem, optimizer, seed, 2);
    record.outcome = Outcome::Completed {
        reason: "budget spent".into(),
    };
    record.curve.truncate(2);
    for (point, (loss, evaluations)) in record
        .curve
        .iter_mut()
        .zip(losses.into_iter().zip([10, 100]))
    {
        point.loss = loss;
        point.gradient_evaluations = evaluations;
    }
    record
}

/// Quadratics over noise, condition number and dimension, on which Adam has the trials 0.2 and 0.3 and
/// FUSE-PV 0.1 and 0.4 where there is no noise, 0.2 and 0.5 at κ = 10 and 0.3 and 0.5 at κ = 100
/// where there is.
pub fn noise_grid() -> Results {
    let mut grid = results(1);
    let template = grid.problems[1].clone();
    grid.problems.clear();
    grid.optimizers.clear();
    grid.records.clear();
    for method in ["adam", "fuse-pv"] {
        for rate in [0.01, 0.1] {
            let adam = optim::AdamConfig {
                learning_rate: rate,
                ..optim::AdamConfig::default()
            };
            let config = match method {
                "adam" => OptimizerConfig::from(adam),
                _ => OptimizerConfig::from(FusePvConfig {
                    adam,
                    ..FusePvConfig::default()
                }),
            };
            grid.optimizers.push(OptimizerInfo {
                label: format!("{method}/learning_rate={rate}"),
                settings: String::new(),
                variants: vec![OptimizerVariant {
                    problems: Vec::new(),
                    config,
                }],
                imported: Vec::new(),
            });
        }
    }
    for noise in [0.0, 1.0] {
        for condition in [10.0, 100.0] {
            for dimension in [10, 100] {
                let label = format!("q/noise={noise}/condition={condition}/dimension={dimension}");
                grid.problems.push(ProblemInfo {
                    label: label.clone(),
                    target: None,
                    dimension,
                    config: quadratic(dimension as usize, condition, noise),
                    ..template.clone()
                });
                let fuse = match (noise > 0.0, condition > 10.0) {
                    (false, _) => [0.1, 0.4],
                    (true, false) => [0.2, 0.5],
                    (true, true) => [0.3, 0.5],
                };
                for seed in 0..2 {
                    for (optimizer, loss) in
                        grid.optimizers.iter().zip([0.2, 0.3, fuse[0], fuse[1]])
                    {
                        let label = (label.as_str(), optimizer.label.as_str());
                        grid.records
                            .push(measured_twice(label.0, label.1, seed, [1.0, loss]));
                    }
                }
            }
        }
    }
    grid
}

/// A network without faults and with S6, and three methods: Adam at 1 on both; FUSE-PV as shipped at
/// 0.1 without the fault, after 1 at 10 evaluations, and at 0.001 with it; and its variant with pairs of
/// one batch at twice that without the fault. Adam makes 10 evaluations in all.
pub fn faults() -> Results {
    let mut results = results(1);
    let template = results.problems[2].clone();
    results.problems = [("mlp/faults=none", &[][..]), ("mlp/faults=S6", &["S6"])]
        .into_iter()
        .map(|(label, faults)| ProblemInfo {
            label: label.into(),
            config: classifier(faults),
            ..template.clone()
        })
        .collect();
    let mut same_batch = FusePvConfig::as_shipped();
    same_batch.lbfgs.pairs = optim::PairSource::SameBatch;
    results.optimizers = [
        ("adam", OptimizerConfig::from(optim::AdamConfig::default())),
        (
            "fuse-pv/as-shipped",
            OptimizerConfig::from(FusePvConfig::as_shipped()),
        ),
        ("fuse-pv/same-batch", OptimizerConfig::from(same_batch)),
    ]
    .into_iter()
    .map(|(label, config)| OptimizerInfo {
        label: label.into(),
        settings: String::new(),
        variants: vec![OptimizerVariant {
            problems: Vec::new(),
            config,
        }],
        imported: Vec::new(),
    })
    .collect();
    results.records.clear();
    for problem in &results.problems {
        let plain = problem.label.ends_with("none");
        for (optimizer, loss) in results.optimizers.iter().zip(if plain {
            [1.0, 0.1, 0.2]
        } else {
            [1.0, 0.001, 0.002]
        }) {
            for seed in 0..2 {
                let mut run = measured_twice(&problem.label, &optimizer.label, seed, [1.0, loss]);
                if optimizer.label == "adam" {
                    run.curve.truncate(1);
                }
                results.records.push(run);
            }
        }
    }
    results
}
