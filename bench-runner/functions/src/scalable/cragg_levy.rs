//! Extended Cragg and Levy (1969): powers from two to eight in overlapping groups of four.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ (eᵃ − b)⁴ + 100(b − c)⁶ + (tan(c − e) + c − e)⁴ + a⁸ + (e − 1)² over the groups
/// (a, b, c, e) = (x₂ᵢ₋₁, …, x₂ᵢ₊₂). Minimum 0 at (0, 1, 1, 1) for d = 4.
pub(crate) const CRAGG_LEVY: TestFunction = TestFunction::new(
    "cragg-levy",
    "Extended Cragg–Levy function (CRAGGLVY)",
    "E. E. Cragg & A. V. Levy, Study on a Supermemory Gradient Method, J. Optim. Theory Appl. 4, \
    1969; extended by P. L. Toint, FUNDP Namur 83/4, 1983, problem 32; CUTEst",
    Dimensions {
        min: 4,
        max: LARGEST,
        multiple_of: 2,
    },
    |d| {
        let mut start = vec![2.0; d];
        start[0] = 1.0;
        let function = Function::new(start, evaluate);
        match d {
            4 => function.with_minimum_at(0.0, vec![0.0, 1.0, 1.0, 1.0]),
            _ => function,
        }
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    gradient.fill(0.0);
    let mut value = 0.0;
    for i in (0..x.len() - 3).step_by(2) {
        let [a, b, c, e] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
        let exponential = a.exp();
        let first = exponential - b;
        let second = b - c;
        let tangent = (c - e).tan();
        let third = tangent + c - e;
        value += first.powi(4)
            + 100.0 * second.powi(6)
            + third.powi(4)
            + a.powi(8)
            + (e - 1.0) * (e - 1.0);
        let by_first = 4.0 * first.powi(3);
        let by_second = 600.0 * second.powi(5);
        let by_third = 4.0 * third.powi(3) * (2.0 + tangent * tangent);
        gradient[i] += by_first * exponential + 8.0 * a.powi(7);
        gradient[i + 1] += by_second - by_first;
        gradient[i + 2] += by_third - by_second;
        gradient[i + 3] += 2.0 * (e - 1.0) - by_third;
    }
    value
}
