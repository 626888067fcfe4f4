//! DQRTIC: quartics along the axes, whose Hessian vanishes at the minimum.

use crate::lanes::sweep;
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = Σ (xᵢ − i)⁴, minimum 0 at (1, 2, …, d).
pub(crate) const DQRTIC: TestFunction = TestFunction::new(
    "dqrtic",
    "Diagonal quartic function (DQRTIC)",
    "N. I. M. Gould, D. Orban & P. L. Toint, CUTEst, Comput. Optim. Appl. 60, 2015; after problem \
    157 of A. Buckley, Test Functions for Unconstrained Minimization, Dalhousie University, \
    1989",
    Dimensions::range(2, LARGEST),
    |d| {
        let targets: Vec<f64> = numbers(d).collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            sweep([x, &targets], gradient, |[x, target]| {
                let distance = x - target;
                let square = distance * distance;
                (square * square, 4.0 * square * distance)
            })
        };
        Function::new(vec![2.0; d], evaluate).with_minimum_at(0.0, numbers(d).collect())
    },
);
