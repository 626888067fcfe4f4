//! f8 and f9, Rosenbrock: a curved valley, along the axes and rotated.

use super::compose::{composed, function};
use super::core::rosenbrock_term;
use super::random::Instance;
use super::transform::Transform;
use crate::{Group, TestFunction};

/// f(x) = Σ 100(zᵢ² − zᵢ₊₁)² + (zᵢ − 1)² + f_opt, z = max(1, √d/8)(x − x_opt) + 1.
pub(crate) const F8: TestFunction = function(
    "f8",
    "Rosenbrock function (f8)",
    Group::Moderate,
    |d, instance| {
        let instance = Instance::new(8, d, instance);
        let minimizer: Vec<f64> = instance.minimizer().iter().map(|x| 0.75 * x).collect();
        let transforms = [
            Transform::Shift(minimizer.clone()),
            Transform::Scale(vec![widening(d); d]),
            Transform::Shift(vec![-1.0; d]),
        ];
        composed(instance, minimizer, transforms, 0.0, rosenbrock)
    },
);

/// f(x) = Σ 100(zᵢ² − zᵢ₊₁)² + (zᵢ − 1)² + f_opt, z = max(1, √d/8)Qx + ½.
pub(crate) const F9: TestFunction = function(
    "f9",
    "Rotated Rosenbrock function (f9)",
    Group::Moderate,
    |d, instance| {
        let instance = Instance::new(9, d, instance);
        let q = instance.rotation();
        let minimizer = half_diagonal(&q, d);
        let transforms = [
            Transform::linear(q.iter().map(|q| widening(d) * q).collect(), d),
            Transform::Shift(vec![-0.5; d]),
        ];
        composed(instance, minimizer, transforms, 0.0, rosenbrock)
    },
);

/// How much the valley is squeezed in high dimensions, so that it does not leave the box.
pub(super) fn widening(dimension: usize) -> f64 {
    ((dimension as f64).sqrt() / 8.0).max(1.0)
}

/// The x with widening · Qx = (½, …, ½).
pub(super) fn half_diagonal(q: &[f64], dimension: usize) -> Vec<f64> {
    q.chunks_exact(dimension)
        .map(|column| 0.5 * column.iter().sum::<f64>() / widening(dimension))
        .collect()
}

fn rosenbrock(z: &[f64], gradient: &mut [f64]) -> f64 {
    gradient[0] = 0.0;
    let mut value = 0.0;
    for i in 0..z.len() - 1 {
        let (term, slope, slope_next) = rosenbrock_term(z[i], z[i + 1]);
        value += term;
        gradient[i] += slope;
        gradient[i + 1] = slope_next;
    }
    value
}
