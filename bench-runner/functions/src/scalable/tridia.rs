//! TRIDIA: a tridiagonal quadratic with growing weights.

use crate::lanes::{map, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = (x₁ − 1)² + Σᵢ₌₂ i(2xᵢ − xᵢ₋₁)², minimum 0 at xᵢ = 2^(1−i).
pub(crate) const TRIDIA: TestFunction = TestFunction::new(
    "tridia",
    "Tridiagonal quadratic (TRIDIA)",
    "P. L. Toint, Test Problems for Partially Separable Optimization and Results for the Routine \
     PSPMIN, FUNDP Namur 83/4, 1983, problem 8; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| {
        let weights: Vec<f64> = numbers(d).collect();
        let mut weighted = vec![0.0; d];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let value = sweep(
                [x, &x[1..], &weights[1..]],
                &mut weighted[..d - 1],
                |[before, x, weight]| {
                    let residual = 2.0 * x - before;
                    (weight * residual * residual, weight * residual)
                },
            );
            map(
                [&weighted, &weighted[1..]],
                &mut gradient[1..],
                |[own, next]| 4.0 * own - 2.0 * next,
            );
            gradient[0] = 2.0 * (x[0] - 1.0) - 2.0 * weighted[0];
            (x[0] - 1.0) * (x[0] - 1.0) + value
        };
        let minimizer = numbers(d).map(|i| (1.0 - i).exp2()).collect();
        Function::new(vec![1.0; d], evaluate).with_minimum_at(0.0, minimizer)
    },
);
