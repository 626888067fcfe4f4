//! NONDIA: Shanno's nondiagonal variant of Rosenbrock's function.

use crate::lanes::{sum, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = (x₁ − 1)² + Σᵢ₌₂ 100(x₁ − xᵢ₋₁²)², minimum 0 at (1, …, 1). It does not depend on x_d.
pub(crate) const NONDIA: TestFunction = TestFunction::new(
    "nondia",
    "Nondiagonal Rosenbrock function (NONDIA)",
    "D. F. Shanno, On Variable Metric Methods for Sparse Hessians, Math. Comput. 34, 1980; CUTEst",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![-1.0; d], evaluate).with_minimum_at(0.0, vec![1.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let last = x.len() - 1;
    let tip = x[0];
    let value = sweep([x], &mut gradient[..last], |[x]| {
        let residual = tip - x * x;
        (100.0 * residual * residual, -400.0 * residual * x)
    });
    gradient[last] = 0.0;
    gradient[0] += 2.0 * (tip - 1.0) + 200.0 * sum([&x[..last]], |[x]| tip - x * x);
    (tip - 1.0) * (tip - 1.0) + value
}
