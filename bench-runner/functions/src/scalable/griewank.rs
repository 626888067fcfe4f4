//! Griewank (1981): a bowl with waves that fade as the dimension grows.

use crate::lanes::sum;
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = 1 + Σ xᵢ²/4000 − Π cos(xᵢ/√i), minimum 0 at the origin.
pub(crate) const GRIEWANK: TestFunction = TestFunction::new(
    "griewank",
    "Griewank function",
    "A. O. Griewank, Generalized Descent for Global Optimization, J. Optim. Theory Appl. 34, 1981",
    Dimensions::range(2, LARGEST),
    |d| {
        let rates: Vec<f64> = numbers(d).map(|i| i.sqrt().recip()).collect();
        let mut sines = vec![0.0; d];
        let mut cosines = vec![0.0; d];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            for i in 0..d {
                (sines[i], cosines[i]) = (x[i] * rates[i]).sin_cos();
            }
            // The product of the cosines before i, then times those after i: a division by the own
            // cosine would fail where that is zero.
            let mut before = 1.0;
            for (g, cosine) in gradient.iter_mut().zip(&cosines) {
                *g = before;
                before *= cosine;
            }
            let mut after = 1.0;
            for i in (0..d).rev() {
                let others = gradient[i] * after;
                gradient[i] = x[i] / 2000.0 + others * sines[i] * rates[i];
                after *= cosines[i];
            }
            1.0 + sum([x], |[x]| x * x) / 4000.0 - before
        };
        Function::new(vec![10.0; d], evaluate).with_minimum_at(0.0, vec![0.0; d])
    },
);
