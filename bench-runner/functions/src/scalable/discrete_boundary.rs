//! Discrete boundary value: a two-point boundary value problem on a grid.

use crate::lanes::{map, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = Σ rᵢ², rᵢ = 2xᵢ − xᵢ₋₁ − xᵢ₊₁ + h²(xᵢ + tᵢ + 1)³/2, h = 1/(d + 1), tᵢ = ih,
/// x₀ = x_{d+1} = 0, minimum 0.
pub(crate) const DISCRETE_BOUNDARY: TestFunction = TestFunction::new(
    "discrete-boundary",
    "Discrete boundary value function",
    "J. J. Moré & M. Y. Cosnard, Numerical Solution of Nonlinear Equations, ACM TOMS 5, 1979; \
    problem 28 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, LARGEST),
    |d| {
        let h = 1.0 / (d + 1) as f64;
        let grid: Vec<f64> = numbers(d).map(|i| i * h).collect();
        let start = grid.iter().map(|t| t * (t - 1.0)).collect();
        let mut padded = vec![0.0; d + 2];
        let mut residuals = vec![0.0; d + 2];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            padded[1..=d].copy_from_slice(x);
            let value = sweep(
                [&padded, &padded[1..], &padded[2..], &grid],
                &mut residuals[1..=d],
                |[before, x, after, t]| {
                    let sum = x + t + 1.0;
                    let residual = 2.0 * x - before - after + 0.5 * h * h * sum * sum * sum;
                    (residual * residual, residual)
                },
            );
            map(
                [x, &grid, &residuals, &residuals[1..], &residuals[2..]],
                gradient,
                |[x, t, before, own, after]| {
                    let sum = x + t + 1.0;
                    2.0 * (own * (2.0 + 1.5 * h * h * sum * sum) - before - after)
                },
            );
            value
        };
        Function::new(start, evaluate).with_minimum(0.0)
    },
);
