//! Schmidt and Vetters (1970): bounded terms of three neighbours.

use std::f64::consts::PI;

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = −Σᵢ₌₁^(d−2) 1/(1 + (a − b)²) + sin((πb + c)/2) + exp(−((a + c)/b − 2)²) with
/// (a, b, c) = (xᵢ, xᵢ₊₁, xᵢ₊₂), minimum −3(d − 2) where all xᵢ = π/(π + 1).
pub(crate) const SCHMIDT_VETTERS: TestFunction = TestFunction::new(
    "schmidt-vetters",
    "Schmidt–Vetters function (SCHMVETT)",
    "J. W. Schmidt & K. Vetters, Ableitungsfreie Verfahren für nichtlineare Optimierungsprobleme, \
     Numer. Math. 15, 1970; CUTEst",
    Dimensions::range(3, LARGEST),
    |d| {
        Function::new(vec![0.5; d], evaluate)
            .with_minimum_at(-3.0 * (d - 2) as f64, vec![PI / (PI + 1.0); d])
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    gradient.fill(0.0);
    let mut value = 0.0;
    for i in 0..x.len() - 2 {
        let [a, b, c] = [x[i], x[i + 1], x[i + 2]];
        let difference = a - b;
        let bump = 1.0 / (1.0 + difference * difference);
        let (sine, cosine) = (0.5 * (PI * b + c)).sin_cos();
        let ratio = (a + c) / b;
        let bell = (-(ratio - 2.0) * (ratio - 2.0)).exp();
        value -= bump + sine + bell;
        let by_difference = 2.0 * difference * bump * bump;
        let by_ratio = 2.0 * (ratio - 2.0) * bell;
        gradient[i] += by_difference + by_ratio / b;
        gradient[i + 1] -= by_difference + 0.5 * PI * cosine + by_ratio * ratio / b;
        gradient[i + 2] += by_ratio / b - 0.5 * cosine;
    }
    value
}
