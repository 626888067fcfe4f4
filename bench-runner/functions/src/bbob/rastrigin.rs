//! f3 and f15, Rastrigin: about 10ᵈ minima on a bowl, along the axes and rotated.

use super::compose::{composed, function};
use super::core::rastrigin;
use super::random::Instance;
use super::transform::{Transform, product};
use crate::{Group, TestFunction};

/// f(x) = 10(d − Σ cos 2πzᵢ) + ‖z‖² + f_opt, z = Λ¹⁰ T_asy⁰·²(T_osz(x − x_opt)).
pub(crate) const F3: TestFunction = function(
    "f3",
    "Rastrigin function (f3)",
    Group::Separable,
    |d, instance| {
        let instance = Instance::new(3, d, instance);
        let minimizer = instance.minimizer();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::oscillate(d),
            Transform::asymmetric(0.2, d),
            Transform::condition(10.0, d),
        ];
        composed(instance, minimizer, transforms, 0.0, rastrigin)
    },
);

/// f(x) = 10(d − Σ cos 2πzᵢ) + ‖z‖² + f_opt, z = RΛ¹⁰Q T_asy⁰·²(T_osz(R(x − x_opt))).
pub(crate) const F15: TestFunction = function(
    "f15",
    "Rotated Rastrigin function (f15)",
    Group::MultiModal,
    |d, instance| {
        let instance = Instance::new(15, d, instance);
        let minimizer = instance.minimizer();
        let r = instance.second_rotation();
        let mixed = product(&r, 10f64.sqrt(), &instance.rotation(), d);
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::linear(r, d),
            Transform::oscillate(d),
            Transform::asymmetric(0.2, d),
            Transform::linear(mixed, d),
        ];
        composed(instance, minimizer, transforms, 0.0, rastrigin)
    },
);
