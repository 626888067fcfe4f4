//! f6, attractive sector: one sector of the space is steeper by a factor of 10⁴.

use super::compose::{composed, function};
use super::random::Instance;
use super::transform::{Transform, oscillate, product};
use crate::{Group, TestFunction};

/// f(x) = T_osz(Σ (sᵢzᵢ)²)^0.9 + f_opt, z = QΛ¹⁰R(x − x_opt), sᵢ = 100 where zᵢ x_opt,i > 0,
/// otherwise 1.
pub(crate) const F6: TestFunction = function(
    "f6",
    "Attractive sector function (f6)",
    Group::Moderate,
    |d, instance| {
        let instance = Instance::new(6, d, instance);
        let minimizer = instance.minimizer();
        let r = instance.second_rotation();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(product(&r, 10f64.sqrt(), &instance.rotation(), d), d),
        ];
        let sector = minimizer.clone();
        composed(instance, minimizer, transforms, 0.0, move |z, gradient| {
            let mut sum = 0.0;
            for ((g, z), sector) in gradient.iter_mut().zip(z).zip(&sector) {
                let weight = if sector * z > 0.0 { 1e4 } else { 1.0 };
                sum += weight * z * z;
                *g = 2.0 * weight * z;
            }
            let (oscillated, slope) = oscillate(sum);
            // At the minimum the gradient is 0, and this factor infinite.
            let factor = match oscillated {
                0.0 => 0.0,
                _ => 0.9 * oscillated.powf(-0.1) * slope,
            };
            for g in gradient {
                *g *= factor;
            }
            oscillated.powf(0.9)
        })
    },
);
