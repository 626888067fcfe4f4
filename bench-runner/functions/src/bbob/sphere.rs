//! f1, sphere: the easiest function.

use super::compose::{composed, function};
use super::random::Instance;
use super::transform::Transform;
use crate::{Group, TestFunction};

/// f(x) = ‖z‖² + f_opt, z = x − x_opt.
pub(crate) const F1: TestFunction = function(
    "f1",
    "Sphere function (f1)",
    Group::Separable,
    |d, instance| {
        let instance = Instance::new(1, d, instance);
        let minimizer = instance.minimizer();
        let shift = Transform::Shift(minimizer.clone());
        composed(instance, minimizer, [shift], 0.0, |z, gradient| {
            for (g, z) in gradient.iter_mut().zip(z) {
                *g = 2.0 * z;
            }
            z.iter().map(|z| z * z).sum()
        })
    },
);
