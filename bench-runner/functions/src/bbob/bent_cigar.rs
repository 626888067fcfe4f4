//! f12, bent cigar: a narrow ridge that is not quadratic.

use super::compose::{composed, function};
use super::core::weighted_squares;
use super::random::Instance;
use super::transform::Transform;
use crate::{Group, TestFunction};

/// f(x) = z₁² + 10⁶ Σᵢ₌₂ zᵢ² + f_opt, z = R T_asy⁰·⁵(R(x − x_opt)).
pub(crate) const F12: TestFunction = function(
    "f12",
    "Bent cigar function (f12)",
    Group::IllConditioned,
    |d, instance| {
        let instance = Instance::new(12, d, instance);
        let minimizer = instance.second_minimizer();
        let r = instance.second_rotation();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(r.clone(), d),
            Transform::asymmetric(0.5, d),
            Transform::linear(r, d),
        ];
        let mut weights = vec![1e6; d];
        weights[0] = 1.0;
        composed(instance, minimizer, transforms, 0.0, move |z, gradient| {
            weighted_squares(&weights, z, gradient)
        })
    },
);
