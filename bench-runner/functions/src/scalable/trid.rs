//! Trid: a convex quadratic whose minimizer lies far out as the dimension grows.

use crate::lanes::{map, sum};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = Σ (xᵢ − 1)² − Σ xᵢ xᵢ₋₁, minimum −d(d + 4)(d − 1)/6 at xᵢ = i(d + 1 − i).
pub(crate) const TRID: TestFunction = TestFunction::new(
    "trid",
    "Trid function",
    "A. Neumaier's collection of global optimization problems, University of Vienna, 2003; problem \
     TRID",
    Dimensions::range(2, LARGEST),
    |d| {
        let n = d as f64;
        let minimum = -n * (n + 4.0) * (n - 1.0) / 6.0;
        let minimizer = numbers(d).map(|i| i * (n + 1.0 - i)).collect();
        Function::new(vec![0.0; d], evaluate).with_minimum_at(minimum, minimizer)
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let last = x.len() - 1;
    map(
        [x, &x[1..], &x[2..]],
        &mut gradient[1..last],
        |[before, x, after]| 2.0 * (x - 1.0) - before - after,
    );
    gradient[0] = 2.0 * (x[0] - 1.0) - x[1];
    gradient[last] = 2.0 * (x[last] - 1.0) - x[last - 1];
    let products = sum([&x[..last], &x[1..]], |[x, after]| x * after);
    sum([x], |[x]| (x - 1.0) * (x - 1.0)) - products
}
