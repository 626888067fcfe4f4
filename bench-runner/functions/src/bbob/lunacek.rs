//! f24, Lunacek bi-Rastrigin: two funnels, the wider of which misleads.

use std::f64::consts::TAU;

use super::compose::{function, minimized};
use super::random::{Instance, normal};
use super::transform::{multiply, multiply_transposed, penalty, product};
use crate::{Group, TestFunction};

/// The centre of the better funnel in each coordinate.
const CENTER: f64 = 2.5;

/// f(x) = min(‖x̂ − μ₀‖², d + s‖x̂ − μ₁‖²) + 10(d − Σ cos 2πzᵢ) + 10⁴ Σ max(0, |xᵢ| − 5)² + f_opt,
/// x̂ = 2 sign(x_opt)x, z = RΛ¹⁰⁰Q(x̂ − μ₀), μ₀ = 2.5, μ₁ = −√((μ₀² − 1)/s), s = 1 − 1/(2√(d + 20)
/// − 8.2).
pub(crate) const F24: TestFunction = function(
    "f24",
    "Lunacek bi-Rastrigin function (f24)",
    Group::WeaklyStructured,
    |d, instance| {
        let instance = Instance::new(24, d, instance);
        let mixed = product(&instance.second_rotation(), 10.0, &instance.rotation(), d);
        let signs: Vec<f64> = normal(d, instance.seed)
            .iter()
            .map(|number| number.signum())
            .collect();
        let minimizer = signs.iter().map(|sign| 0.5 * CENTER * sign).collect();
        let count = d as f64;
        let s = 1.0 - 0.5 / ((count + 20.0).sqrt() - 4.1);
        let misleading = -((CENTER * CENTER - 1.0) / s).sqrt();
        let (mut shifted, mut z) = (vec![0.0; d], vec![0.0; d]);
        minimized(instance, minimizer, move |x, gradient| {
            let (mut better, mut wider) = (0.0, 0.0);
            for ((shifted, x), sign) in shifted.iter_mut().zip(x).zip(&signs) {
                let turned = 2.0 * sign * x;
                *shifted = turned - CENTER;
                better += *shifted * *shifted;
                wider += (turned - misleading) * (turned - misleading);
            }
            let wider = count + s * wider;
            multiply(&mixed, &shifted, &mut z);
            let mut waves = 0.0;
            for z in &mut z {
                let (sine, cosine) = (TAU * *z).sin_cos();
                waves += cosine;
                *z = 10.0 * TAU * sine;
            }
            // The slopes of the waves by x̂, then those of the funnel, then all by x.
            multiply_transposed(&mixed, &z, gradient);
            for ((g, shifted), sign) in gradient.iter_mut().zip(&shifted).zip(&signs) {
                *g += match better <= wider {
                    true => 2.0 * shifted,
                    false => 2.0 * s * (shifted + CENTER - misleading),
                };
                *g *= 2.0 * sign;
            }
            better.min(wider) + 10.0 * (count - waves) + penalty(1e4, x, gradient)
        })
    },
);
