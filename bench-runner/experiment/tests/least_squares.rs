//! Smooth least squares against PyTorch (`golden/least_squares.py`), finite differences and known
//! minima.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bench_data::{Library, Silent};
use bench_experiment::problem::{Draw, Environment, Problem, ProblemConfig};
use bench_experiment::run::{plan, run};
use bench_experiment::spec::Experiment;
use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    regression: Vec<Regression>,
    digits: Digits,
}

#[derive(Deserialize)]
struct Regression {
    function: String,
    hidden: Vec<usize>,
    samples: usize,
    loss: f64,
    norm: f64,
    slope: f64,
}

#[derive(Deserialize)]
struct Digits {
    hidden: Vec<usize>,
    code: usize,
    loss: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/least_squares.json")).unwrap()
}

fn environment() -> Environment {
    Environment {
        library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
        device: Device::Cpu,
    }
}

fn config(task: &str, precision: &str) -> ProblemConfig {
    let settings =
        format!("kind = 'least-squares'\nprecision = '{precision}'\ntask = {{ {task} }}");
    toml::from_str(&settings).unwrap()
}

fn build(task: &str, precision: &str, seed: u64) -> Box<dyn Problem> {
    let config = config(task, precision);
    config.check().unwrap();
    let optimizer = "adam";
    config
        .build(Draw { seed, optimizer }, &environment())
        .unwrap()
}

/// All parameters in the order of their names.
fn values(problem: &dyn Problem) -> Vec<f64> {
    let flat = |tensor: &Tensor| -> Vec<f64> {
        let tensor = tensor.flatten_all().unwrap();
        tensor.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    };
    let vars = problem.parameters().vars().iter();
    vars.flat_map(|var| flat(var.as_tensor())).collect()
}

fn set(problem: &dyn Problem, values: &[f64]) {
    let mut rest = values;
    for var in problem.parameters().vars() {
        let (own, others) = rest.split_at(var.elem_count());
        rest = others;
        let tensor = Tensor::from_slice(own, var.shape(), &Device::Cpu).unwrap();
        var.set(&tensor.to_dtype(var.dtype()).unwrap()).unwrap();
    }
}

/// The generator's parameters.
fn fill(problem: &dyn Problem) {
    let count = problem.parameters().element_count();
    let values: Vec<f64> = (0..count).map(|k| (k as f64 + 1.0).sin() / 2.0).collect();
    set(problem, &values);
}

fn evaluate(problem: &mut dyn Problem) -> (f64, Vec<f64>) {
    let (loss, gradient) = problem.objective(0).unwrap().loss_and_gradient().unwrap();
    let flat = gradient.tensors().iter().flat_map(|tensor| {
        let tensor = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
        tensor.to_vec1::<f64>().unwrap()
    });
    (loss, flat.collect())
}

#[test]
fn regression_equals_pytorch() {
    for row in golden().regression {
        let Regression {
            function,
            hidden,
            samples,
            ..
        } = &row;
        let task = format!(
            "regression = {{ function = '{function}', hidden = {hidden:?}, samples = {samples} }}"
        );
        for (precision, tolerance) in [("f64", 1e-12), ("f32", 2e-5)] {
            let mut problem = build(&task, precision, 0);
            fill(&*problem);
            let measured = problem.measure().unwrap().loss;
            let (loss, gradient) = evaluate(&mut *problem);
            assert_eq!(loss, measured);
            assert_eq!(problem.samples(0), Some(*samples as u64));
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let slope: f64 = gradient
                .iter()
                .zip(0..)
                .map(|(g, k)| g * f64::from(k).cos())
                .sum();
            for (ours, theirs) in [(loss, row.loss), (norm, row.norm), (slope, row.slope)] {
                assert!(
                    (ours - theirs).abs() < tolerance * theirs.abs().max(row.norm),
                    "{function} in {precision}: {ours} and {theirs}"
                );
            }
        }
    }
}

#[test]
fn the_autoencoder_of_all_digits_equals_pytorch() {
    let Digits { hidden, code, loss } = golden().digits;
    let task = format!(
        "autoencoder = {{ images = 'digits', hidden = {hidden:?}, code = {code}, samples = 1438 }}"
    );
    let mut problem = build(&task, "f64", 0);
    fill(&*problem);
    let measured = problem.measure().unwrap();
    let ours = (1438.0 * measured.loss + 359.0 * measured.test_loss.unwrap()) / 1797.0;
    assert!((ours - loss).abs() < 1e-12 * loss, "{ours} and {loss}");
}

const TASKS: [&str; 5] = [
    "regression = { function = 'friedman', hidden = [6, 4], samples = 30 }",
    "teacher-student = { inputs = 3, teacher = [2], student = [4], samples = 40 }",
    "matrix-factorisation = { rows = 9, columns = 7, rank = 4, factors = 3, condition = 10.0 }",
    "autoencoder = { images = 'curves', hidden = [9, 7], code = 3, samples = 12 }",
    "autoencoder = { images = 'digits', hidden = [8], code = 4, samples = 25 }",
];

#[test]
fn gradients_are_differences_of_the_loss() {
    for task in TASKS {
        let mut problem = build(task, "f64", 3);
        let x = values(&*problem);
        let (_, gradient) = evaluate(&mut *problem);
        // Along single parameters of each tensor, and along all at once.
        let mut directions = vec![(0..x.len()).map(|k| (k as f64).cos()).collect::<Vec<f64>>()];
        for i in [0, x.len() / 3, x.len() / 2, x.len() - 1] {
            directions.push((0..x.len()).map(|k| f64::from(u8::from(k == i))).collect());
        }
        for direction in directions {
            let mut at = |h: f64| {
                let moved: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + h * d).collect();
                set(&*problem, &moved);
                evaluate(&mut *problem).0
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let error = (difference - slope).abs();
            assert!(
                error < 1e-7 * slope.abs().max(1.0),
                "{task}: {difference} and {slope}"
            );
        }
    }
}

#[test]
fn starts_differ_by_the_seed_and_data_do_not() {
    for task in TASKS {
        let mut first = build(task, "f64", 1);
        let mut second = build(task, "f64", 2);
        assert_ne!(values(&*first), values(&*second), "{task}");
        let same = values(&*first);
        set(&*second, &same);
        assert_eq!(evaluate(&mut *first), evaluate(&mut *second), "{task}");
        assert!(first.is_deterministic());
    }
}

/// The loss is f − f*: L-BFGS from several starts ends at 0 where every local minimum is a global one.
#[test]
fn matrix_factorisation_ends_at_the_known_minimum() {
    let environment = environment();
    for factors in [2, 4, 6] {
        let text = format!(
            "name = 'minima'\nseeds = 3\n[[problem]]\nlabel = 'm'\nkind = 'least-squares'\nprecision = 'f64'\n\
             budget = 3000\ntask = {{ matrix-factorisation = {{ rows = 9, columns = 7, rank = 4, \
             factors = {factors}, condition = 5.0 }} }}\n[[optimizer]]\nkind = 'lbfgs'\nmax_iter = 50\ntolerance_change = 1e-15\n"
        );
        let experiment = Experiment::parse(&text, Path::new("minima.toml")).unwrap();
        for cell in plan(&experiment) {
            let record = run(
                cell.problem,
                cell.optimizer,
                cell.seed,
                &environment,
                None,
                &AtomicBool::new(false),
                &mut |_| {},
            );
            let last = record.last().unwrap();
            let start = record.curve[0].loss;
            assert!(
                start > 0.1 && last.loss.abs() < 1e-9,
                "{factors} factors: {start} to {}, {:?}",
                last.loss,
                record.outcome
            );
            assert_eq!(last.sample_gradients, Some(9 * last.gradient_evaluations));
        }
    }
}

#[test]
fn settings_that_no_task_has_are_refused_with_what_is_possible() {
    let messages: Vec<String> = [
        "regression = { function = 'franke', hidden = [5, 0], samples = 10 }",
        "regression = { function = 'franke', hidden = [5], samples = 0 }",
        "regression = { function = 'franke', hidden = [100000, 100000], samples = 1 }",
        "regression = { function = 'franke', hidden = [1000], samples = 1000000 }",
        "teacher-student = { inputs = 0, teacher = [2], student = [2], samples = 10 }",
        "teacher-student = { inputs = 2, teacher = [5], student = [3], samples = 10 }",
        "teacher-student = { inputs = 2, teacher = [5], student = [5, 5], samples = 10 }",
        "matrix-factorisation = { rows = 5, columns = 0, rank = 1, factors = 1, condition = 1.0 }",
        "matrix-factorisation = { rows = 5, columns = 4, rank = 5, factors = 1, condition = 1.0 }",
        "matrix-factorisation = { rows = 5, columns = 4, rank = 2, factors = 1, condition = 0.5 }",
        "matrix-factorisation = { rows = 5, columns = 4, rank = 1, factors = 1, condition = 2.0 }",
        "autoencoder = { images = 'curves', hidden = [5], code = 0, samples = 10 }",
    ]
    .iter()
    .map(|task| config(task, "f32").check().unwrap_err().to_string())
    .chain(
        [
            "regression = { function = 'frank', hidden = [5], samples = 10 }",
            "autoencoder = { images = 'curves', hidden = [5], code = 2, samples = 10, depth = 3 }",
            "regresion = { function = 'franke', hidden = [5], samples = 10 }",
        ]
        .iter()
        .map(|task| {
            let settings = format!("kind = 'least-squares'\ntask = {{ {task} }}");
            toml::from_str::<ProblemConfig>(&settings)
                .unwrap_err()
                .to_string()
        }),
    )
    .collect();
    let many = "autoencoder = { images = 'digits', hidden = [5], code = 2, samples = 5000 }";
    let draw = Draw {
        seed: 0,
        optimizer: "adam",
    };
    let many = config(many, "f32")
        .build(draw, &environment())
        .err()
        .unwrap();
    insta::assert_snapshot!(format!("{}\n{many}", messages.join("\n")));
}
