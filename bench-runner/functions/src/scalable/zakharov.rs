//! Zakharov: a sphere with one direction of fourth order.

use crate::lanes::{map, sum};
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = Σ xᵢ² + s² + s⁴ with s = Σ i xᵢ/2, minimum 0 at the origin.
pub(crate) const ZAKHAROV: TestFunction = TestFunction::new(
    "zakharov",
    "Zakharov function",
    "M. Jamil & X.-S. Yang, A Literature Survey of Benchmark Functions, Int. J. Math. Model. \
    Numer. Optim. 4, 2013, function 173",
    Dimensions::range(2, LARGEST),
    |d| {
        let halves: Vec<f64> = numbers(d).map(|i| 0.5 * i).collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let squares = sum([x], |[x]| x * x);
            let s = sum([x, &halves], |[x, half]| half * x);
            let slope = 2.0 * s + 4.0 * s * s * s;
            map([x, &halves], gradient, |[x, half]| 2.0 * x + slope * half);
            squares + s * s + s * s * s * s
        };
        Function::new(vec![1.0; d], evaluate).with_minimum_at(0.0, vec![0.0; d])
    },
);
