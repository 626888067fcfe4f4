//! Dixon and Price (1989): a valley that bends by a power of two from each variable to the next.

use crate::lanes::{map, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = (x₁ − 1)² + Σᵢ₌₂ i (2xᵢ² − xᵢ₋₁)², minimum 0 at xᵢ = 2^(2^(1−i) − 1).
pub(crate) const DIXON_PRICE: TestFunction = TestFunction::new(
    "dixon-price",
    "Dixon–Price function",
    "L. C. W. Dixon & R. C. Price, Truncated Newton Method for Sparse Unconstrained Optimization \
     Using Automatic Differentiation, J. Optim. Theory Appl. 60, 1989",
    Dimensions::range(2, LARGEST),
    |d| {
        let weights: Vec<f64> = numbers(d).collect();
        // i (2xᵢ² − xᵢ₋₁) for i = 2, …, d, then a zero, so that the last variable is no exception.
        let mut weighted = vec![0.0; d];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let value = sweep(
                [x, &x[1..], &weights[1..]],
                &mut weighted[..d - 1],
                |[before, x, weight]| {
                    let residual = 2.0 * x * x - before;
                    (weight * residual * residual, weight * residual)
                },
            );
            map(
                [&x[1..], &weighted, &weighted[1..]],
                &mut gradient[1..],
                |[x, own, next]| 8.0 * x * own - 2.0 * next,
            );
            gradient[0] = 2.0 * (x[0] - 1.0) - 2.0 * weighted[0];
            (x[0] - 1.0) * (x[0] - 1.0) + value
        };
        let minimizer = numbers(d).map(|i| (2f64.powf(1.0 - i) - 1.0).exp2());
        Function::new(vec![5.0; d], evaluate).with_minimum_at(0.0, minimizer.collect())
    },
);
