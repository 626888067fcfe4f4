//! Broyden tridiagonal: a system of equations in three neighbours each.

use crate::lanes::{map, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ rᵢ², rᵢ = (3 − 2xᵢ)xᵢ − xᵢ₋₁ − 2xᵢ₊₁ + 1 with x₀ = x_{d+1} = 0, minimum 0.
pub(crate) const BROYDEN_TRIDIAGONAL: TestFunction = TestFunction::new(
    "broyden-tridiagonal",
    "Broyden tridiagonal function",
    "C. G. Broyden, A Class of Methods for Solving Nonlinear Simultaneous Equations, Math. \
    Comput. 19, 1965; problem 30 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, LARGEST),
    |d| {
        // The variables and the residuals with a zero on either side.
        let mut padded = vec![0.0; d + 2];
        let mut residuals = vec![0.0; d + 2];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            padded[1..=d].copy_from_slice(x);
            let value = sweep(
                [&padded, &padded[1..], &padded[2..]],
                &mut residuals[1..=d],
                |[before, x, after]| {
                    let residual = (3.0 - 2.0 * x) * x - before - 2.0 * after + 1.0;
                    (residual * residual, residual)
                },
            );
            map(
                [x, &residuals, &residuals[1..], &residuals[2..]],
                gradient,
                |[x, before, own, after]| 2.0 * ((3.0 - 4.0 * x) * own - 2.0 * before - after),
            );
            value
        };
        Function::new(vec![-1.0; d], evaluate).with_minimum(0.0)
    },
);
