//! f11, discus: one direction is a thousand times as sensitive as all others.

use super::compose::{composed, function};
use super::core::weighted_squares;
use super::random::Instance;
use super::transform::Transform;
use crate::{Group, TestFunction};

/// f(x) = 10⁶z₁² + Σᵢ₌₂ zᵢ² + f_opt, z = T_osz(R(x − x_opt)).
pub(crate) const F11: TestFunction = function(
    "f11",
    "Discus function (f11)",
    Group::IllConditioned,
    |d, instance| {
        let instance = Instance::new(11, d, instance);
        let minimizer = instance.minimizer();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(instance.second_rotation(), d),
            Transform::oscillate(d),
        ];
        let mut weights = vec![1.0; d];
        weights[0] = 1e6;
        composed(instance, minimizer, transforms, 0.0, move |z, gradient| {
            weighted_squares(&weights, z, gradient)
        })
    },
);
