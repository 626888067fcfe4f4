//! f2 and f10, ellipsoid: condition number 10⁶ with smooth irregularities, along the axes and
//! rotated.

use super::compose::{composed, function};
use super::core::weighted_squares;
use super::random::Instance;
use super::transform::{Transform, powers};
use crate::{Group, TestFunction};

/// f(x) = Σ 10^(6(i−1)/(d−1)) zᵢ² + f_opt, z = T_osz(x − x_opt).
pub(crate) const F2: TestFunction = function(
    "f2",
    "Ellipsoidal function (f2)",
    Group::Separable,
    |d, instance| {
        let instance = Instance::new(2, d, instance);
        let minimizer = instance.minimizer();
        let transforms = [Transform::Shift(minimizer.clone()), Transform::oscillate(d)];
        let weights: Vec<f64> = powers(1e6, d).collect();
        composed(instance, minimizer, transforms, 0.0, move |z, gradient| {
            weighted_squares(&weights, z, gradient)
        })
    },
);

/// f(x) = Σ 10^(6(i−1)/(d−1)) zᵢ² + f_opt, z = T_osz(R(x − x_opt)).
pub(crate) const F10: TestFunction = function(
    "f10",
    "Rotated ellipsoidal function (f10)",
    Group::IllConditioned,
    |d, instance| {
        let instance = Instance::new(10, d, instance);
        let minimizer = instance.minimizer();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(instance.second_rotation(), d),
            Transform::oscillate(d),
        ];
        let weights: Vec<f64> = powers(1e6, d).collect();
        composed(instance, minimizer, transforms, 0.0, move |z, gradient| {
            weighted_squares(&weights, z, gradient)
        })
    },
);
