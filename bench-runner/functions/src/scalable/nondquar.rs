//! NONDQUAR: a nondiagonal quartic whose Hessian is singular at the minimum.

use crate::lanes::{map, sum, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = (x₁ − x₂)² + (x_{d−1} − x_d)² + Σᵢ₌₁^(d−2) (xᵢ + xᵢ₊₁ + x_d)⁴, minimum 0 at the origin.
pub(crate) const NONDQUAR: TestFunction = TestFunction::new(
    "nondquar",
    "Nondiagonal quartic function (NONDQUAR)",
    "A. R. Conn, N. I. M. Gould, M. Lescrenier & P. L. Toint, Performance of a Multifrontal \
    Scheme for Partially Separable Optimization, FUNDP Namur 88/4, 1988, problem 57; CUTEst",
    Dimensions::range(3, LARGEST),
    |d| {
        let start = (0..d).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 });
        // The cubes of the d − 2 sums with a zero on either side.
        let mut cubes = vec![0.0; d];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let tip = x[d - 1];
            let value = sweep([x, &x[1..]], &mut cubes[1..d - 1], |[x, after]| {
                let sum = x + after + tip;
                let cube = sum * sum * sum;
                (cube * sum, cube)
            });
            map(
                [&cubes, &cubes[1..]],
                &mut gradient[..d - 1],
                |[before, own]| 4.0 * (before + own),
            );
            let (first, last) = (x[0] - x[1], x[d - 2] - x[d - 1]);
            gradient[d - 1] = 4.0 * sum([&cubes], |[cube]| cube) - 2.0 * last;
            gradient[d - 2] += 2.0 * last;
            gradient[0] += 2.0 * first;
            gradient[1] -= 2.0 * first;
            value + first * first + last * last
        };
        Function::new(start.collect(), evaluate).with_minimum_at(0.0, vec![0.0; d])
    },
);
