//! Sum of squares: a quadratic along the axes with condition number d.

use crate::lanes::sweep;
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = Σ i xᵢ², minimum 0 at the origin.
pub(crate) const SUM_SQUARES: TestFunction = TestFunction::new(
    "sum-squares",
    "Sum of squares function",
    "M. Jamil & X.-S. Yang, A Literature Survey of Benchmark Functions, Int. J. Math. Model. \
    Numer. Optim. 4, 2013, function 143",
    Dimensions::range(2, LARGEST),
    |d| {
        let weights: Vec<f64> = numbers(d).collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            sweep([x, &weights], gradient, |[x, weight]| {
                (weight * x * x, 2.0 * weight * x)
            })
        };
        Function::new(vec![5.0; d], evaluate).with_minimum_at(0.0, vec![0.0; d])
    },
);
