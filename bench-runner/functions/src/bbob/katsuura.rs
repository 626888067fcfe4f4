//! f23, Katsuura: rugged on every scale, with more than 10ᵈ minima.

use super::compose::{composed, function};
use super::random::{Instance, round};
use super::transform::{Transform, product};
use crate::{Group, TestFunction};

/// f(x) = 10/d² Π (1 + i Σⱼ |2ʲzᵢ − [2ʲzᵢ]|/2ʲ)^(10/d^1.2) − 10/d² + Σ max(0, |xᵢ| − 5)² + f_opt, j
/// = 1, …, 32, z = RΛ¹⁰⁰Q(x − x_opt). The function has kinks everywhere; the gradient is that
/// between two kinks, about 10⁻¹⁰ apart.
pub(crate) const F23: TestFunction = function(
    "f23",
    "Katsuura function (f23)",
    Group::WeaklyStructured,
    |d, instance| {
        let instance = Instance::new(23, d, instance);
        let minimizer = instance.minimizer();
        let r = instance.second_rotation();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(product(&r, 10.0, &instance.rotation(), d), d),
        ];
        let count = d as f64;
        let exponent = 10.0 / count.powf(1.2);
        let share = 10.0 / count / count;
        composed(instance, minimizer, transforms, 1.0, move |z, gradient| {
            let mut product = 1.0;
            for (i, (g, z)) in gradient.iter_mut().zip(z).enumerate() {
                let (mut sum, mut slope, mut scale) = (0.0, 0.0, 1.0);
                for _ in 0..32 {
                    scale *= 2.0;
                    let rest = scale * z - round(scale * z);
                    sum += rest.abs() / scale;
                    slope += if rest == 0.0 { 0.0 } else { rest.signum() };
                }
                let number = (i + 1) as f64;
                let factor = 1.0 + number * sum;
                product *= factor.powf(exponent);
                *g = exponent * number * slope / factor;
            }
            for g in gradient {
                *g *= share * product;
            }
            share * (product - 1.0)
        })
    },
);
