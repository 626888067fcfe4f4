//! The 18 unconstrained minimization problems of Moré, Garbow & Hillstrom, "Testing Unconstrained
//! Optimization Software" (ACM TOMS 7, 1981), from their standard starts to their published minima.

use crate::common::dual::{Dual, sum_of_squares};
use crate::common::{Analytic, minimize};
use optim::{LbfgsConfig, Tolerances};
use serde::Deserialize;

struct Problem {
    name: &'static str,
    start: Vec<f64>,
    residuals: fn(&[Dual]) -> Vec<Dual>,
    /// The published minima that a descent method may end in.
    minima: &'static [f64],
}

fn problem(
    name: &'static str,
    start: impl Into<Vec<f64>>,
    minima: &'static [f64],
    residuals: fn(&[Dual]) -> Vec<Dual>,
) -> Problem {
    Problem {
        name,
        start: start.into(),
        residuals,
        minima,
    }
}

/// The numbers 1 … n.
fn upto(n: usize) -> impl Iterator<Item = f64> {
    (1..=n).map(|i| i as f64)
}

fn problems() -> Vec<Problem> {
    vec![
        problem("Helical valley", [-1.0, 0.0, 0.0], &[0.0], |x| {
            let half = if x[0].value < 0.0 { 0.5 } else { 0.0 };
            let theta = (x[1] / x[0]).atan() / (2.0 * std::f64::consts::PI) + half;
            let radius = (x[0] * x[0] + x[1] * x[1]).sqrt();
            vec![10.0 * (x[2] - 10.0 * theta), 10.0 * (radius - 1.0), x[2]]
        }),
        problem(
            "Biggs EXP6",
            [1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
            &[0.0, 5.65565e-3],
            |x| {
                let residual = |i: f64| {
                    let t = 0.1 * i;
                    let y = (-t).exp() - 5.0 * (-10.0 * t).exp() + 3.0 * (-4.0 * t).exp();
                    x[2] * (-t * x[0]).exp() - x[3] * (-t * x[1]).exp() + x[5] * (-t * x[4]).exp()
                        - y
                };
                upto(13).map(residual).collect()
            },
        ),
        problem("Gaussian", [0.4, 1.0, 0.0], &[1.12793e-8], |x| {
            let half = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521];
            let y = half.iter().chain(&[0.3989]).chain(half.iter().rev());
            let residual = |(i, y): (f64, &f64)| {
                let t = (8.0 - i) / 2.0;
                x[0] * (-1.0 * x[1] * (t - x[2]).powi(2) / 2.0).exp() - *y
            };
            upto(15).zip(y).map(residual).collect()
        }),
        problem("Powell badly scaled", [0.0, 1.0], &[0.0], |x| {
            vec![
                1e4 * x[0] * x[1] - 1.0,
                (-x[0]).exp() + (-x[1]).exp() - 1.0001,
            ]
        }),
        problem("Box three-dimensional", [0.0, 10.0, 20.0], &[0.0], |x| {
            let residual = |i: f64| {
                let t = 0.1 * i;
                (-t * x[0]).exp() - (-t * x[1]).exp() - x[2] * ((-t).exp() - (-10.0 * t).exp())
            };
            upto(10).map(residual).collect()
        }),
        problem(
            "Variably dimensioned",
            upto(10).map(|j| 1.0 - j / 10.0).collect::<Vec<_>>(),
            &[0.0],
            |x| {
                let sum: Dual = upto(10).zip(x).map(|(j, x)| j * (*x - 1.0)).sum();
                let own = x.iter().map(|x| *x - 1.0);
                own.chain([sum, sum * sum]).collect()
            },
        ),
        problem("Watson", [0.0; 6], &[2.28767e-3], |x| {
            let residual = |i: f64| {
                let t = i / 29.0;
                let powers = |k: usize| t.powi(k as i32);
                let slope: Dual = (1..6).map(|j| j as f64 * powers(j - 1) * x[j]).sum();
                let value: Dual = (0..6).map(|j| powers(j) * x[j]).sum();
                slope - value * value - 1.0
            };
            let last = [x[0], x[1] - x[0] * x[0] - 1.0];
            upto(29).map(residual).chain(last).collect()
        }),
        problem(
            "Penalty I",
            upto(10).collect::<Vec<_>>(),
            &[7.08765e-5],
            |x| {
                let sum: Dual = x.iter().map(|x| *x * *x).sum();
                let own = x.iter().map(|x| 1e-5f64.sqrt() * (*x - 1.0));
                own.chain([sum - 0.25]).collect()
            },
        ),
        problem("Penalty II", [0.5; 10], &[2.93660e-4], |x| {
            let a = 1e-5f64.sqrt();
            let e = |x: Dual| (x / 10.0).exp();
            let mut residuals = vec![x[0] - 0.2];
            for i in 1..10 {
                let y = ((i + 1) as f64 / 10.0).exp() + (i as f64 / 10.0).exp();
                residuals.push(a * (e(x[i]) + e(x[i - 1]) - y));
            }
            residuals.extend((1..10).map(|i| a * (e(x[i]) - (-0.1f64).exp())));
            let sum: Dual = x
                .iter()
                .enumerate()
                .map(|(j, x)| (10 - j) as f64 * *x * *x)
                .sum();
            residuals.push(sum - 1.0);
            residuals
        }),
        problem("Brown badly scaled", [1.0, 1.0], &[0.0], |x| {
            vec![x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0]
        }),
        problem(
            "Brown and Dennis",
            [25.0, 5.0, -5.0, -1.0],
            &[85822.2],
            |x| {
                let residual = |i: f64| {
                    let t = i / 5.0;
                    let (a, b) = (x[0] + t * x[1] - t.exp(), x[2] + x[3] * t.sin() - t.cos());
                    a * a + b * b
                };
                upto(20).map(residual).collect()
            },
        ),
        problem("Gulf research", [5.0, 2.5, 0.15], &[0.0], |x| {
            let residual = |i: f64| {
                let t = i / 100.0;
                let y = 25.0 + (-50.0 * t.ln()).powf(2.0 / 3.0);
                let power = (x[2] * (y - x[1]).abs().ln()).exp();
                (-1.0 * power / x[0]).exp() - t
            };
            upto(99).map(residual).collect()
        }),
        problem("Trigonometric", [0.1; 10], &[0.0, 2.79506e-5], |x| {
            let cosines: Dual = x.iter().map(|x| x.cos()).sum();
            let residual = |(i, x): (f64, &Dual)| 10.0 - cosines + i * (1.0 - x.cos()) - x.sin();
            upto(10).zip(x).map(residual).collect()
        }),
        problem("Extended Rosenbrock", [-1.2, 1.0].repeat(5), &[0.0], |x| {
            let pair = |x: &[Dual]| [10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0]];
            x.chunks(2).flat_map(pair).collect()
        }),
        problem(
            "Extended Powell singular",
            [3.0, -1.0, 0.0, 1.0].repeat(3),
            &[0.0],
            |x| {
                let four = |x: &[Dual]| {
                    [
                        x[0] + 10.0 * x[1],
                        5f64.sqrt() * (x[2] - x[3]),
                        (x[1] - 2.0 * x[2]).powi(2),
                        10f64.sqrt() * (x[0] - x[3]).powi(2),
                    ]
                };
                x.chunks(4).flat_map(four).collect()
            },
        ),
        problem("Beale", [1.0, 1.0], &[0.0], |x| {
            let residual = |(i, y): (usize, f64)| y - x[0] * (1.0 - x[1].powi(i as i32 + 1));
            [1.5, 2.25, 2.625]
                .into_iter()
                .enumerate()
                .map(residual)
                .collect()
        }),
        problem("Wood", [-3.0, -1.0, -3.0, -1.0], &[0.0], |x| {
            vec![
                10.0 * (x[1] - x[0] * x[0]),
                1.0 - x[0],
                90f64.sqrt() * (x[3] - x[2] * x[2]),
                1.0 - x[2],
                10f64.sqrt() * (x[1] + x[3] - 2.0),
                (x[1] - x[3]) / 10f64.sqrt(),
            ]
        }),
        problem(
            "Chebyquad",
            upto(8).map(|j| j / 9.0).collect::<Vec<_>>(),
            &[3.51687e-3],
            |x| {
                let chebyshev = |i: usize, x: Dual| {
                    let x = 2.0 * x - 1.0;
                    let (mut before, mut now) = (Dual::from(1.0), x);
                    for _ in 1..i {
                        (before, now) = (now, 2.0 * x * now - before);
                    }
                    now
                };
                let residual = |i: usize| {
                    let mean: Dual = x.iter().map(|x| chebyshev(i, *x)).sum();
                    let integral = if i.is_multiple_of(2) {
                        -1.0 / (i * i - 1) as f64
                    } else {
                        0.0
                    };
                    mean / 8.0 - integral
                };
                (1..=8).map(residual).collect()
            },
        ),
    ]
}

#[derive(Deserialize)]
struct Golden {
    problems: Vec<Scipy>,
}

/// What SciPy's L-BFGS-B did, and the problem's value and gradient at a point off the start.
#[derive(Deserialize)]
struct Scipy {
    name: String,
    x: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    iterations: u64,
    evaluations: u64,
    minimum: f64,
}

fn golden() -> Vec<Scipy> {
    let golden: Golden = serde_json::from_str(include_str!("../golden/mgh.json")).unwrap();
    golden.problems
}

#[test]
fn formulas_agree_with_a_second_transcription() {
    for (problem, scipy) in problems().iter().zip(golden()) {
        assert_eq!(problem.name, scipy.name);
        let (loss, gradient) = sum_of_squares(problem.residuals, &scipy.x);
        let close = |a: f64, b: f64, size: f64| (a - b).abs() <= 1e-9 * (b.abs() + size);
        assert!(close(loss, scipy.loss, 0.0), "{}: {loss}", problem.name);
        let largest = scipy.gradient.iter().fold(0f64, |a, b| a.max(b.abs()));
        for (a, b) in gradient.iter().zip(&scipy.gradient) {
            assert!(close(*a, *b, largest), "{}: {a} {b}", problem.name);
        }
    }
}

#[test]
fn all_problems_are_solved_to_their_published_minima() {
    println!(
        "| problem | d | iterations | evaluations | f | SciPy: iterations | evaluations | f |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut failed = Vec::new();
    for (problem, scipy) in problems().into_iter().zip(golden()) {
        let Problem {
            name,
            start,
            residuals,
            minima,
        } = problem;
        let f = move |x: &[f64]| sum_of_squares(residuals, x);
        let mut objective = Analytic::new(f, &start);
        let config = LbfgsConfig {
            max_iter: 20_000,
            max_eval: Some(20_000),
            tolerance_grad: 1e-8,
            tolerance_change: 1e-20,
            tolerances: Tolerances::Absolute,
            ..LbfgsConfig::default()
        };
        let run = minimize(&mut objective, config, 1e-14, 20_000);
        println!(
            "| {name} | {} | {} | {} | {:.6e} | {} | {} | {:.6e} |",
            start.len(),
            run.iterations,
            run.evaluations,
            run.loss,
            scipy.iterations,
            scipy.evaluations,
            scipy.minimum,
        );
        // Published to six digits; zero minima to what double precision leaves of a square.
        let reached = |minimum: &&f64| (run.loss - **minimum).abs() <= 1e-5 * **minimum + 1e-10;
        if !minima.iter().any(|minimum| reached(&minimum)) {
            failed.push((name, run));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
