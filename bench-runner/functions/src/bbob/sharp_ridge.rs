//! f13, sharp ridge: a ridge on which the function has a kink.

use super::compose::{composed, function};
use super::random::Instance;
use super::transform::{Transform, product};
use crate::{Group, TestFunction};

/// f(x) = z₁² + 100 √(Σᵢ₌₂ zᵢ²) + f_opt, z = RΛ¹⁰Q(x − x_opt). Above 40
/// dimensions the package `ioh` differs: it takes the generalized form of COCO's large-scale suite.
pub(crate) const F13: TestFunction = function(
    "f13",
    "Sharp ridge function (f13)",
    Group::IllConditioned,
    |d, instance| {
        let instance = Instance::new(13, d, instance);
        let minimizer = instance.minimizer();
        let r = instance.second_rotation();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(product(&r, 10f64.sqrt(), &instance.rotation(), d), d),
        ];
        composed(instance, minimizer, transforms, 0.0, |z, gradient| {
            let distance = z[1..].iter().map(|z| z * z).sum::<f64>().sqrt();
            // On the ridge 0 is a subgradient.
            let factor = if distance > 0.0 {
                100.0 / distance
            } else {
                0.0
            };
            gradient[0] = 2.0 * z[0];
            for (g, z) in gradient[1..].iter_mut().zip(&z[1..]) {
                *g = factor * z;
            }
            z[0] * z[0] + 100.0 * distance
        })
    },
);
