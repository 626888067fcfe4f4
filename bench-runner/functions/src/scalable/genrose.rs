//! GENROSE: the generalized Rosenbrock function of Nash, with one long valley.

use crate::lanes::{map, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = 1 + Σᵢ₌₂ 100(xᵢ − xᵢ₋₁²)² + (xᵢ − 1)², minimum 1 at (1, …, 1).
pub(crate) const GENROSE: TestFunction = TestFunction::new(
    "genrose",
    "Generalized Rosenbrock function (GENROSE)",
    "S. G. Nash, Newton-Type Minimization via the Lanczos Process, SIAM J. Numer. Anal. 21, 1984; \
     CUTEst",
    Dimensions::range(2, LARGEST),
    |d| {
        let start = numbers(d).map(|i| i / (d + 1) as f64).collect();
        let mut valleys = vec![0.0; d + 1];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let value = sweep([x, &x[1..]], &mut valleys[1..d], |[before, x]| {
                let valley = x - before * before;
                (100.0 * valley * valley + (x - 1.0) * (x - 1.0), valley)
            });
            map([x, &valleys, &valleys[1..]], gradient, |[x, own, next]| {
                200.0 * own - 400.0 * next * x + 2.0 * (x - 1.0)
            });
            gradient[0] -= 2.0 * (x[0] - 1.0);
            1.0 + value
        };
        Function::new(start, evaluate).with_minimum_at(1.0, vec![1.0; d])
    },
);
