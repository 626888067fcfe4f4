//! f16, Weierstrass: rugged on twelve scales, and with more than one minimizer.

use std::f64::consts::PI;

use super::compose::{composed, function};
use super::random::Instance;
use super::transform::{Transform, product};
use crate::{Group, TestFunction};

/// The scales of the waves.
const SCALES: usize = 12;

/// f(x) = 10(Σᵢ Σₖ 2⁻ᵏ cos(2π3ᵏ(zᵢ + ½))/d − f₀)³ + 10/d Σ max(0, |xᵢ| − 5)² + f_opt,
/// z = RΛ¹ᐟ¹⁰⁰Q T_osz(R(x − x_opt)), f₀ = Σₖ 2⁻ᵏ cos(π3ᵏ).
pub(crate) const F16: TestFunction = function(
    "f16",
    "Weierstrass function (f16)",
    Group::MultiModal,
    |d, instance| {
        let instance = Instance::new(16, d, instance);
        let minimizer = instance.minimizer();
        let r = instance.second_rotation();
        let mixed = product(&r, 0.1, &instance.rotation(), d);
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(r, d),
            Transform::oscillate(d),
            Transform::linear(mixed, d),
        ];
        // The heights 2⁻ᵏ and the rates 2π3ᵏ.
        let waves: [(f64, f64); SCALES] =
            std::array::from_fn(|k| (0.5f64.powi(k as i32), 2.0 * PI * 3f64.powi(k as i32)));
        let floor: f64 = waves
            .iter()
            .map(|(height, rate)| height * (0.5 * rate).cos())
            .sum();
        let count = d as f64;
        composed(
            instance,
            minimizer,
            transforms,
            10.0 / count,
            move |z, gradient| {
                let mut sum = 0.0;
                for (g, z) in gradient.iter_mut().zip(z) {
                    *g = 0.0;
                    for (height, rate) in waves {
                        let (sine, cosine) = (rate * (z + 0.5)).sin_cos();
                        sum += height * cosine;
                        *g -= height * rate * sine;
                    }
                }
                let mean = sum / count - floor;
                for g in gradient {
                    *g *= 30.0 * mean * mean / count;
                }
                10.0 * mean * mean * mean
            },
        )
    },
);
