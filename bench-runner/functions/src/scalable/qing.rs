//! Qing (2006): 2ᵈ equal minima.

use crate::lanes::sweep;
use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = Σ (xᵢ² − i)², minimum 0 at xᵢ = ±√i.
pub(crate) const QING: TestFunction = TestFunction::new(
    "qing",
    "Qing function",
    "A. Qing, Dynamic Differential Evolution Strategy and Applications in Electromagnetic Inverse \
     Scattering Problems, IEEE Trans. Geosci. Remote Sens. 44, 2006",
    Dimensions::range(2, LARGEST),
    |d| {
        let targets: Vec<f64> = numbers(d).collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            sweep([x, &targets], gradient, |[x, target]| {
                let residual = x * x - target;
                (residual * residual, 4.0 * residual * x)
            })
        };
        let minimizer = numbers(d).map(f64::sqrt).collect();
        Function::new(vec![1.0; d], evaluate).with_minimum_at(0.0, minimizer)
    },
);
