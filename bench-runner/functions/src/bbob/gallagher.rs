//! f21 and f22, Gallagher: hills of random place, height and shape.

use super::compose::{function, minimized};
use super::random::{Instance, uniform};
use super::transform::{multiply, multiply_transposed, oscillate, penalty};
use crate::{Function, Group, TestFunction};

/// Gallagher's function with 101 medium peaks: condition numbers about 30 at the best, in [−5, 5]ᵈ.
pub(crate) const F21: TestFunction = function(
    "f21",
    "Gallagher function with 101 peaks (f21)",
    Group::WeaklyStructured,
    |d, instance| gallagher(Instance::new(21, d, instance), 101, 1000f64.sqrt(), 10.0),
);

/// Gallagher's function with 21 high peaks: condition number 1000 at the best, in [−4.9, 4.9]ᵈ.
pub(crate) const F22: TestFunction = function(
    "f22",
    "Gallagher function with 21 peaks (f22)",
    Group::WeaklyStructured,
    |d, instance| gallagher(Instance::new(22, d, instance), 21, 1000.0, 9.8),
);

/// f(x) = T_osz(10 − maxᵢ wᵢ exp(−(x − yᵢ)ᵀQᵀCᵢQ(x − yᵢ)/(2d)))² + Σ max(0, |xᵢ| − 5)² + f_opt. The
/// first peak is the minimum, with w₁ = 10 and the condition number given; the others have heights
/// from 1.1 to 9.1 and condition numbers up to 1000. The peaks lie in a box of the given width.
fn gallagher(instance: Instance, peaks: usize, best_condition: f64, width: f64) -> Function {
    let d = instance.dimension;
    let q = instance.rotation();
    let others = (peaks - 2) as f64;
    let condition = |order: usize| 1000f64.powf(order as f64 / others);
    let conditions = std::iter::once(best_condition).chain(
        ranks(&uniform(peaks - 1, instance.seed))
            .into_iter()
            .map(condition),
    );
    // The diagonals of Cᵢ, a peak after another.
    let mut shapes = Vec::with_capacity(peaks * d);
    for (i, condition) in (0..).zip(conditions) {
        let draws = uniform(d, instance.seed + 1000 * i);
        shapes.extend(
            ranks(&draws)
                .into_iter()
                .map(|rank| condition.powf(rank as f64 / (d - 1) as f64 - 0.5)),
        );
    }
    let heights: Vec<f64> = std::iter::once(10.0)
        .chain((0..peaks - 1).map(|i| i as f64 / others * (9.1 - 1.1) + 1.1))
        .collect();
    let mut places: Vec<f64> = uniform(d * peaks, instance.seed)
        .iter()
        .map(|u| width * u - 0.5 * width)
        .collect();
    // The minimum stays away from the box's bounds.
    for x in &mut places[..d] {
        *x *= 0.8;
    }
    let minimizer = places[..d].to_vec();
    // The places after rotation.
    let mut centers = vec![0.0; peaks * d];
    for (center, place) in centers.chunks_exact_mut(d).zip(places.chunks_exact(d)) {
        multiply(&q, place, center);
    }
    let rate = -0.5 / d as f64;
    let logarithms: Vec<f64> = heights.iter().map(|height| height.ln()).collect();
    let (mut z, mut slopes) = (vec![0.0; d], vec![0.0; d]);
    minimized(instance, minimizer, move |x, gradient| {
        multiply(&q, x, &mut z);
        let (mut best, mut highest) = (0, f64::NEG_INFINITY);
        let hills = centers.chunks_exact(d).zip(shapes.chunks_exact(d));
        for (i, (center, shape)) in hills.enumerate() {
            let mut distance = 0.0;
            for ((z, center), shape) in z.iter().zip(center).zip(shape) {
                distance += shape * (z - center) * (z - center);
            }
            let height = logarithms[i] + rate * distance;
            if height > highest {
                (best, highest) = (i, height);
            }
        }
        let height = heights[best] * (highest - logarithms[best]).exp();
        let (depth, slope) = oscillate(10.0 - height);
        let factor = -2.0 * depth * slope * height * 2.0 * rate;
        let (center, shape) = (&centers[best * d..], &shapes[best * d..]);
        for (j, by_z) in slopes.iter_mut().enumerate() {
            *by_z = factor * shape[j] * (z[j] - center[j]);
        }
        multiply_transposed(&q, &slopes, gradient);
        depth * depth + penalty(1.0, x, gradient)
    })
}

/// The places of the numbers in the order of their size: first the place of the smallest.
fn ranks(numbers: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..numbers.len()).collect();
    places.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));
    places
}
