//! f7, step ellipsoid: plateaus, on which the gradient is zero.

use super::compose::{function, minimized};
use super::random::{Instance, round};
use super::transform::{multiply, penalty, powers};
use crate::{Group, TestFunction};

/// f(x) = 0.1 max(|ẑ₁|/10⁴, Σ 10^(2(i−1)/(d−1)) zᵢ²) + Σ max(0, |xᵢ| − 5)² + f_opt,
/// ẑ = Λ¹⁰Q(x − x_opt), z = R z̃ with z̃ᵢ = ẑᵢ rounded to a whole number where |ẑᵢ| > ½, otherwise
/// to a tenth. The gradient is that of the plateau.
pub(crate) const F7: TestFunction = TestFunction {
    gradient_vanishes: true,
    ..function(
        "f7",
        "Step ellipsoidal function (f7)",
        Group::Moderate,
        |d, instance| {
            let instance = Instance::new(7, d, instance);
            let minimizer = instance.minimizer();
            let (r, q) = (instance.second_rotation(), instance.rotation());
            let conditions: Vec<f64> = powers(10.0, d).map(f64::sqrt).collect();
            let weights: Vec<f64> = powers(100.0, d).collect();
            let center = minimizer.clone();
            let (mut shifted, mut steps, mut z) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
            minimized(instance, minimizer, move |x, gradient| {
                for ((shifted, x), center) in shifted.iter_mut().zip(x).zip(&center) {
                    *shifted = x - center;
                }
                multiply(&q, &shifted, &mut steps);
                let first = steps[0];
                for (step, condition) in steps.iter_mut().zip(&conditions) {
                    let exact = condition * *step;
                    *step = match exact.abs() > 0.5 {
                        true => round(exact),
                        false => round(10.0 * exact) / 10.0,
                    };
                }
                multiply(&r, &steps, &mut z);
                let sum: f64 = z.iter().zip(&weights).map(|(z, w)| w * z * z).sum();
                let slope = 1e-4 * first.abs();
                if slope > sum {
                    // The first row of Λ¹⁰Q is that of Q.
                    for (g, q) in gradient.iter_mut().zip(q.iter().step_by(d)) {
                        *g = 0.1 * 1e-4 * q * first.signum();
                    }
                } else {
                    gradient.fill(0.0);
                }
                0.1 * sum.max(slope) + penalty(1.0, x, gradient)
            })
        },
    )
};
