//! f4, Büche–Rastrigin: Rastrigin's minima, placed to mislead.

use super::compose::{composed, function};
use super::core::rastrigin;
use super::random::Instance;
use super::transform::{Transform, powers};
use crate::{Group, TestFunction};

/// f(x) = 10(d − Σ cos 2πzᵢ) + ‖z‖² + 100 Σ max(0, |xᵢ| − 5)² + f_opt, zᵢ = sᵢ T_osz(xᵢ − x_opt,i),
/// where sᵢ is 10^((i−1)/(2(d−1))), and ten times that for odd i where zᵢ > 0.
pub(crate) const F4: TestFunction = function(
    "f4",
    "Büche–Rastrigin function (f4)",
    Group::Separable,
    |d, instance| {
        let instance = Instance::new(4, d, instance);
        let mut minimizer = instance.minimizer();
        for x in minimizer.iter_mut().step_by(2) {
            *x = x.abs();
        }
        // A coordinate's parameter is its factor, with a minus sign where positive values count ten
        // times.
        let factors = powers(10f64.sqrt(), d)
            .enumerate()
            .map(|(i, factor)| if i % 2 == 0 { -factor } else { factor });
        let stretch = |x: f64, factor: f64| {
            let scale = match factor < 0.0 && x > 0.0 {
                true => 10.0 * factor.abs(),
                false => factor.abs(),
            };
            (scale * x, scale)
        };
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::oscillate(d),
            Transform::Each(stretch, factors.collect(), vec![0.0; d]),
        ];
        composed(instance, minimizer, transforms, 100.0, rastrigin)
    },
);
