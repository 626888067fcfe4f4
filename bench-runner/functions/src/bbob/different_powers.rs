//! f14, sum of different powers: the sensitivities grow apart as the minimum comes near.

use super::compose::{composed, function};
use super::random::Instance;
use super::transform::{Transform, fractions};
use crate::{Group, TestFunction};

/// f(x) = √(Σ |zᵢ|^(2 + 4(i−1)/(d−1))) + f_opt, z = R(x − x_opt).
pub(crate) const F14: TestFunction = function(
    "f14",
    "Different powers function (f14)",
    Group::IllConditioned,
    |d, instance| {
        let instance = Instance::new(14, d, instance);
        let minimizer = instance.minimizer();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(instance.second_rotation(), d),
        ];
        let exponents: Vec<f64> = fractions(d).map(|fraction| 2.0 + 4.0 * fraction).collect();
        composed(instance, minimizer, transforms, 0.0, move |z, gradient| {
            let mut sum = 0.0;
            for ((g, z), exponent) in gradient.iter_mut().zip(z).zip(&exponents) {
                let power = z.abs().powf(exponent - 1.0);
                sum += power * z.abs();
                *g = exponent * power.copysign(*z);
            }
            let root = sum.sqrt();
            // At the minimum, a kink, 0 is a subgradient.
            let factor = if root > 0.0 { 0.5 / root } else { 0.0 };
            for g in gradient {
                *g *= factor;
            }
            root
        })
    },
);
