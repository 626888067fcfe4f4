//! f5, linear slope: down to a corner of the box and flat behind it.

use super::compose::{function, minimized};
use super::random::Instance;
use super::transform::powers;
use crate::{Group, TestFunction};

/// f(x) = Σ 5|sᵢ| − sᵢzᵢ + f_opt, sᵢ = ±10^((i−1)/(d−1)), zᵢ = xᵢ inside of the corner and the
/// corner's coordinate behind it.
pub(crate) const F5: TestFunction = function(
    "f5",
    "Linear slope (f5)",
    Group::Separable,
    |d, instance| {
        let instance = Instance::new(5, d, instance);
        let corner: Vec<f64> = instance
            .minimizer()
            .iter()
            .map(|x| 5f64.copysign(*x))
            .collect();
        let slopes: Vec<f64> = powers(10.0, d)
            .zip(&corner)
            .map(|(slope, corner)| slope.copysign(*corner))
            .collect();
        minimized(instance, corner.clone(), move |x, gradient| {
            let mut value = 0.0;
            for (i, g) in gradient.iter_mut().enumerate() {
                let inside = x[i] * corner[i] < 25.0;
                let z = if inside { x[i] } else { corner[i] };
                value += 5.0 * slopes[i].abs() - slopes[i] * z;
                *g = if inside { -slopes[i] } else { 0.0 };
            }
            value
        })
    },
);
