//! f17 and f18, Schaffers F7: waves whose height and frequency change, well and badly conditioned.

use super::compose::{composed, function};
use super::random::Instance;
use super::transform::{Transform, powers};
use crate::{Function, Group, TestFunction};

/// Schaffers F7 with condition number 10.
pub(crate) const F17: TestFunction = function(
    "f17",
    "Schaffers F7 function (f17)",
    Group::MultiModal,
    |d, instance| schaffers(Instance::new(17, d, instance), 10.0),
);

/// Schaffers F7 with condition number 1000.
pub(crate) const F18: TestFunction = function(
    "f18",
    "Ill-conditioned Schaffers F7 function (f18)",
    Group::MultiModal,
    |d, instance| schaffers(Instance::new(18, d, instance), 1000.0),
);

/// f(x) = (Σ √sᵢ (1 + sin²(50 sᵢ^⅕))/(d − 1))² + 10 Σ max(0, |xᵢ| − 5)² + f_opt, sᵢ = √(zᵢ² +
/// zᵢ₊₁²), z = ΛQ T_asy⁰·⁵(R(x − x_opt)).
fn schaffers(instance: Instance, condition: f64) -> Function {
    let d = instance.dimension;
    let minimizer = instance.minimizer();
    let mut conditioned = instance.rotation();
    let factors: Vec<f64> = powers(condition.sqrt(), d).collect();
    for column in conditioned.chunks_exact_mut(d) {
        for (entry, factor) in column.iter_mut().zip(&factors) {
            *entry *= factor;
        }
    }
    let transforms = [
        Transform::Shift(minimizer.clone()),
        Transform::linear(instance.second_rotation(), d),
        Transform::asymmetric(0.5, d),
        Transform::linear(conditioned, d),
    ];
    composed(instance, minimizer, transforms, 10.0, move |z, gradient| {
        gradient.fill(0.0);
        let mut sum = 0.0;
        for i in 0..d - 1 {
            let square = z[i] * z[i] + z[i + 1] * z[i + 1];
            if square == 0.0 {
                continue;
            }
            let root = square.powf(0.25);
            let frequency = 50.0 * square.powf(0.1);
            let (sine, cosine) = frequency.sin_cos();
            sum += root * (1.0 + sine * sine);
            // The derivative by the square.
            let slope =
                root * (0.25 * (1.0 + sine * sine) + 0.2 * frequency * sine * cosine) / square;
            gradient[i] += 2.0 * z[i] * slope;
            gradient[i + 1] += 2.0 * z[i + 1] * slope;
        }
        let count = (d - 1) as f64;
        let mean = sum / count;
        for g in gradient {
            *g *= 2.0 * mean / count;
        }
        mean * mean
    })
}
