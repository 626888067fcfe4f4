//! f20, Schwefel: the best minima lie in corners far from each other.

use super::compose::{function, minimized};
use super::random::{Instance, uniform};
use super::transform::powers;
use crate::{Group, TestFunction};

/// The distance of the minimum from the origin along an axis, before scaling.
const DISTANCE: f64 = 4.209_687_463_7;

/// f(x) = (418.98… − Σ zᵢ sin √|zᵢ| / d)/100 + Σ max(0, |zᵢ| − 500)²/100 + f_opt,
/// z = 100(Λ¹⁰(ẑ − m) + m), ẑᵢ = x̂ᵢ + ¼(x̂ᵢ₋₁ − m), x̂ᵢ = ±2xᵢ, m = 4.2096874637 = 2|x_opt,i|.
pub(crate) const F20: TestFunction = function(
    "f20",
    "Schwefel function (f20)",
    Group::WeaklyStructured,
    |d, instance| {
        let instance = Instance::new(20, d, instance);
        let signs: Vec<f64> = uniform(d, instance.seed)
            .iter()
            .map(|u| if *u < 0.5 { -1.0 } else { 1.0 })
            .collect();
        let minimizer = signs.iter().map(|sign| sign * 0.5 * DISTANCE).collect();
        let factors: Vec<f64> = powers(10f64.sqrt(), d).collect();
        let count = d as f64;
        minimized(instance, minimizer, move |x, gradient| {
            let (mut sum, mut penalty) = (0.0, 0.0);
            // x̂ᵢ₋₁ − m, and 0 before the first.
            let mut before = 0.0;
            for i in 0..d {
                let own = 2.0 * signs[i] * x[i] - DISTANCE;
                let z = 100.0 * (factors[i] * (own + 0.25 * before) + DISTANCE);
                before = own;
                let root = z.abs().sqrt();
                let (sine, cosine) = root.sin_cos();
                sum += z * sine;
                let excess = (z.abs() - 500.0).max(0.0);
                penalty += excess * excess;
                let slope = 2.0 * excess.copysign(z) - (sine + 0.5 * root * cosine) / count;
                gradient[i] = factors[i] * slope;
            }
            // Each coordinate also acts on the next.
            for i in 0..d {
                let next = gradient.get(i + 1).map_or(0.0, |next| 0.25 * next);
                gradient[i] = 2.0 * signs[i] * (gradient[i] + next);
            }
            0.01 * (penalty + 418.982_887_272_433_9 - sum / count)
        })
    },
);
