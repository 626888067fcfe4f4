//! f19, Griewank–Rosenbrock: Griewank's waves along Rosenbrock's valley.

use super::compose::{composed, function};
use super::core::rosenbrock_term;
use super::random::Instance;
use super::rosenbrock::{half_diagonal, widening};
use super::transform::Transform;
use crate::{Group, TestFunction};

/// f(x) = 10/(d − 1) Σ (sᵢ/4000 − cos sᵢ) + 10 + f_opt, sᵢ = 100(zᵢ² − zᵢ₊₁)² + (zᵢ − 1)²,
/// z = max(1, √d/8)Qx + ½.
pub(crate) const F19: TestFunction = function(
    "f19",
    "Composite Griewank–Rosenbrock function (f19)",
    Group::MultiModal,
    |d, instance| {
        let instance = Instance::new(19, d, instance);
        let q = instance.rotation();
        let minimizer = half_diagonal(&q, d);
        let transforms = [
            Transform::linear(q.iter().map(|q| widening(d) * q).collect(), d),
            Transform::Shift(vec![-0.5; d]),
        ];
        let share = 10.0 / (d - 1) as f64;
        composed(instance, minimizer, transforms, 0.0, move |z, gradient| {
            gradient[0] = 0.0;
            let mut sum = 0.0;
            for i in 0..d - 1 {
                let (term, slope, slope_next) = rosenbrock_term(z[i], z[i + 1]);
                let (sine, cosine) = term.sin_cos();
                sum += term / 4000.0 - cosine;
                let factor = share * (1.0 / 4000.0 + sine);
                gradient[i] += factor * slope;
                gradient[i + 1] = factor * slope_next;
            }
            10.0 + share * sum
        })
    },
);
