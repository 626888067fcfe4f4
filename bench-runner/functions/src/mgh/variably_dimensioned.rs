//! Variably dimensioned: a sphere with one direction of fourth order.

use crate::lanes::{map, sum};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = Σ (xᵢ − 1)² + s² + s⁴ with s = Σ i(xᵢ − 1), minimum 0 at (1, …, 1).
pub(crate) const VARIABLY_DIMENSIONED: TestFunction = TestFunction::new(
    "variably-dimensioned",
    "Variably dimensioned function",
    "Problem 25 of J. J. Moré, B. S. Garbow & K. E. Hillstrom, Testing Unconstrained Optimization \
     Software, ACM TOMS 7, 1981",
    Dimensions::range(2, LARGEST),
    |d| {
        let weights: Vec<f64> = numbers(d).collect();
        let start = numbers(d).map(|i| 1.0 - i / d as f64).collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let squares = sum([x], |[x]| (x - 1.0) * (x - 1.0));
            let s = sum([x, &weights], |[x, weight]| weight * (x - 1.0));
            let slope = 2.0 * s + 4.0 * s * s * s;
            map([x, &weights], gradient, |[x, weight]| {
                2.0 * (x - 1.0) + slope * weight
            });
            squares + s * s + s * s * s * s
        };
        Function::new(start, evaluate).with_minimum_at(0.0, vec![1.0; d])
    },
);
