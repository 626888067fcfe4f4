//! ENGVAL1: circles through neighbours.

use crate::lanes::{map, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ₌₁^(d−1) (xᵢ² + xᵢ₊₁²)² − 4xᵢ + 3. Minimum 0 at (1, 0) for d = 2.
pub(crate) const ENGVAL1: TestFunction = TestFunction::new(
    "engval1",
    "Engvall function 1 (ENGVAL1)",
    "P. L. Toint, Test Problems for Partially Separable Optimization and Results for the Routine \
     PSPMIN, FUNDP Namur 83/4, 1983, problem 31; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| {
        // xᵢ² + xᵢ₊₁² with a zero on either side.
        let mut sums = vec![0.0; d + 1];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let value = sweep([x, &x[1..]], &mut sums[1..d], |[x, after]| {
                let sum = x * x + after * after;
                (sum * sum - 4.0 * x + 3.0, sum)
            });
            map([x, &sums, &sums[1..]], gradient, |[x, before, own]| {
                4.0 * x * (before + own) - 4.0
            });
            gradient[d - 1] += 4.0;
            value
        };
        let function = Function::new(vec![2.0; d], evaluate);
        match d {
            2 => function.with_minimum_at(0.0, vec![1.0, 0.0]),
            _ => function,
        }
    },
);
