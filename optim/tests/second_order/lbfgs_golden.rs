//! L-BFGS against trajectories of `torch.optim.LBFGS` (golden/lbfgs.py).

use candle_core::{D, DType, Device, Tensor, Var};
use optim::{EvaluationLimit, LbfgsConfig, LineSearch, Loss, Meter, Optimizer, Oracle, Parameters};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
struct Run {
    problem: String,
    before_2_6: bool,
    tolerance_grad: f64,
    tolerance_change: f64,
    lr: f64,
    line_search_fn: Option<String>,
    max_iter: u64,
    max_eval: Option<u64>,
    history_size: usize,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    loss: f64,
    evaluations: u64,
    iterations: u64,
    /// How far PyTorch is from itself when sums are taken in another order.
    spread: f64,
    x: Option<Vec<f64>>,
}

type LossFn = Box<dyn Fn() -> candle_core::Result<Tensor>>;

fn tensor(rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Tensor {
    let values: Vec<f64> = (0..rows * columns)
        .map(|i| f(i / columns, i % columns))
        .collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
}

fn features(samples: usize, count: usize) -> Tensor {
    tensor(samples, count, |i, j| {
        (1.0 + (i * count) as f64 + 1.7 * (j * (i + 1)) as f64).sin()
    })
}

fn vector(d: usize, f: impl Fn(usize) -> f64) -> Tensor {
    tensor(1, d, |_, j| f(j)).flatten_all().unwrap()
}

fn problem(name: &str) -> (Parameters, LossFn) {
    match name {
        "quadratic" => {
            let scale = vector(20, |i| 100f64.powf(i as f64 / 19.0));
            let center = vector(20, |i| 1.0 + 0.1 * i as f64);
            let x = Var::zeros(20, DType::F64, &Device::Cpu).unwrap();
            let parameters = Parameters::new([("x", x.clone())]).unwrap();
            let loss = move || (x.sub(&center)?.sqr()? * &scale)?.sum_all()? * 0.5;
            (parameters, Box::new(loss))
        }
        "rosenbrock" => {
            let start = vector(6, |i| if i % 2 == 0 { -1.2 } else { 1.0 });
            let x = Var::from_tensor(&start).unwrap();
            let parameters = Parameters::new([("x", x.clone())]).unwrap();
            let loss = move || {
                let (head, tail) = (x.narrow(0, 0, 5)?, x.narrow(0, 1, 5)?);
                let valley = ((tail - head.sqr()?)?.sqr()? * 100.0)?;
                (valley + (1.0 - head)?.sqr()?)?.sum_all()
            };
            (parameters, Box::new(loss))
        }
        "logistic" => {
            let a = features(40, 6);
            let sign = tensor(40, 1, |i, _| {
                if (0.9 * (i * i) as f64).sin() > 0.0 {
                    1.0
                } else {
                    -1.0
                }
            });
            let w = Var::zeros((6, 1), DType::F64, &Device::Cpu).unwrap();
            let parameters = Parameters::new([("w", w.clone())]).unwrap();
            let loss = move || {
                let margin = (a.matmul(&w)? * &sign)?;
                let data = (margin.neg()?.exp()? + 1.0)?.log()?.mean_all()?;
                data + (w.sqr()?.sum_all()? * 0.5e-3)?
            };
            (parameters, Box::new(loss))
        }
        "mlp" => {
            let a = features(30, 3);
            let target = tensor(30, 1, |i, _| (0.5 * i as f64).cos());
            let shapes = [
                ("1.bias", 1, 5),
                ("1.weight", 3, 5),
                ("2.bias", 1, 1),
                ("2.weight", 5, 1),
            ];
            let vars: Vec<(&str, Var)> = shapes
                .iter()
                .enumerate()
                .map(|(k, &(name, rows, columns))| {
                    let values = tensor(rows, columns, |i, j| {
                        0.5 * (2.3 * (i * columns + j) as f64 + k as f64 + 1.0).sin()
                    });
                    (name, Var::from_tensor(&values).unwrap())
                })
                .collect();
            let parameters = Parameters::new(vars.clone()).unwrap();
            let p: Vec<Var> = vars.into_iter().map(|(_, var)| var).collect();
            let loss = move || {
                let hidden = a.matmul(&p[1])?.broadcast_add(&p[0])?.tanh()?;
                let output = hidden.matmul(&p[3])?.broadcast_add(&p[2])?;
                (output - &target)?.sqr()?.mean(D::Minus1)?.mean_all()
            };
            (parameters, Box::new(loss))
        }
        other => panic!("no problem {other}"),
    }
}

fn flat(parameters: &Parameters) -> Vec<f64> {
    let vars = parameters.vars().iter();
    vars.flat_map(|var| var.flatten_all().unwrap().to_vec1::<f64>().unwrap())
        .collect()
}

#[test]
fn trajectories_and_evaluation_counts_are_pytorchs() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/lbfgs.json")).unwrap();
    let mut exact = 0;
    for run in &golden.runs {
        let (parameters, loss) = problem(&run.problem);
        let config = LbfgsConfig {
            lr: run.lr,
            max_iter: run.max_iter,
            max_eval: run.max_eval,
            tolerance_grad: run.tolerance_grad,
            tolerance_change: run.tolerance_change,
            history_size: run.history_size,
            line_search: match run.line_search_fn {
                Some(_) => LineSearch::StrongWolfe,
                None => LineSearch::Fixed,
            },
            evaluation_limit: match run.before_2_6 {
                true => EvaluationLimit::Torch25,
                false => EvaluationLimit::Torch26,
            },
            ..LbfgsConfig::torch()
        };
        let mut lbfgs = config.build(&parameters).unwrap();
        let mut objective = Loss::new(&parameters, loss);
        let mut meter = Meter::new();
        let mut iterations = 0;
        // Where rounding grows so much that PyTorch disagrees with itself, so may we with it.
        let spread = run.steps.last().unwrap().spread;
        let tolerance = f64::max(1e-10, 20.0 * spread);
        let mut worst = 0f64;
        for (i, expected) in run.steps.iter().enumerate() {
            let step = lbfgs
                .step(&mut Oracle::new(&mut objective, &mut meter))
                .unwrap();
            iterations += step.iterations;
            let label = format!(
                "{} {:?} max_iter {} max_eval {:?} step {i}",
                run.problem, run.line_search_fn, run.max_iter, run.max_eval
            );
            assert_eq!(
                meter.counts().evaluations(),
                expected.evaluations,
                "{label}"
            );
            assert_eq!(iterations, expected.iterations, "{label}");
            assert!(
                (step.loss - expected.loss).abs() <= tolerance * (1.0 + expected.loss),
                "{label}: loss {} instead of {}",
                step.loss,
                expected.loss
            );
            let Some(expected) = &expected.x else {
                continue;
            };
            let difference = |scale: &[f64], x: &[f64]| {
                let pairs = scale.iter().zip(x);
                pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
            };
            let zeros = vec![0.0; expected.len()];
            let error = difference(expected, &flat(&parameters)) / difference(expected, &zeros);
            worst = worst.max(error);
            assert!(error <= tolerance, "{label}: relative error {error:e}");
        }
        println!(
            "{} {:?}: {worst:e}, PyTorch {spread:e}",
            run.problem, run.line_search_fn
        );
        exact += usize::from(worst <= 1e-10);
    }
    println!("{exact} of {} within 1e-10", golden.runs.len());
    assert!(exact >= 20);
}
