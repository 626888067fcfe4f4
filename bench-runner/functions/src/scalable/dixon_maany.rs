//! Dixon and Maany (1988): neighbours and far neighbours coupled, with and without
//! ill-conditioning.

use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

const CITATION: &str = "L. C. W. Dixon & Z. Maany, A Family of Test Problems with Sparse Hessians \
                        for Unconstrained Optimization, Hatfield Polytechnic TR 206, 1988; CUTEst";

/// Problem A: α = 1, β = 0, γ = δ = 0.125, no weights. Minimum 1 at the origin.
pub(crate) const DIXMAANA: TestFunction = TestFunction::new(
    "dixmaana",
    "Dixon–Maany function A (DIXMAANA)",
    CITATION,
    Dimensions::multiples(3, LARGEST),
    |d| family(d, [0.0, 0.125, 0.125], |_| 1.0),
);

/// Problem L: α = 1, β = γ = δ = 0.26, the first and last sums weighted by (i/d)². Minimum 1 at the
/// origin.
pub(crate) const DIXMAANL: TestFunction = TestFunction::new(
    "dixmaanl",
    "Dixon–Maany function L (DIXMAANL)",
    CITATION,
    Dimensions::multiples(3, LARGEST),
    |d| family(d, [0.26, 0.26, 0.26], |fraction| fraction * fraction),
);

/// f(x) = 1 + Σ wᵢ xᵢ² + β Σᵢ₌₁^(d−1) xᵢ²(xᵢ₊₁ + xᵢ₊₁²)² + γ Σᵢ₌₁^(2m) xᵢ² xᵢ₊ₘ⁴ + δ Σᵢ₌₁^m wᵢ xᵢ
/// xᵢ₊₂ₘ with d = 3m and weights w of i/d.
fn family(d: usize, [beta, gamma, delta]: [f64; 3], weight: fn(f64) -> f64) -> Function {
    let m = d / 3;
    let weights: Vec<f64> = numbers(d).map(|i| weight(i / d as f64)).collect();
    let evaluate = move |x: &[f64], gradient: &mut [f64]| {
        let mut value = 1.0;
        for i in 0..d {
            value += weights[i] * x[i] * x[i];
            gradient[i] = 2.0 * weights[i] * x[i];
        }
        for i in 0..d - 1 {
            let next = x[i + 1] + x[i + 1] * x[i + 1];
            value += beta * x[i] * x[i] * next * next;
            gradient[i] += 2.0 * beta * x[i] * next * next;
            gradient[i + 1] += 2.0 * beta * x[i] * x[i] * next * (1.0 + 2.0 * x[i + 1]);
        }
        for i in 0..2 * m {
            let square = x[i + m] * x[i + m];
            value += gamma * x[i] * x[i] * square * square;
            gradient[i] += 2.0 * gamma * x[i] * square * square;
            gradient[i + m] += 4.0 * gamma * x[i] * x[i] * square * x[i + m];
        }
        for i in 0..m {
            let weight = delta * weights[i];
            value += weight * x[i] * x[i + 2 * m];
            gradient[i] += weight * x[i + 2 * m];
            gradient[i + 2 * m] += weight * x[i];
        }
        value
    };
    Function::new(vec![2.0; d], evaluate).with_minimum_at(1.0, vec![0.0; d])
}
