//! Functions on which gradient descent is as slow as the bound for their class: a spectrum over many decades, and
//! starts that give every part of it the same weight.

use super::quadratic::{check_quadratic, eigenvalues};
use crate::{Function, Result};

/// A convex function: f(x) = ½ Σλᵢxᵢ², the λᵢ spaced geometrically from 1 down to 1/κ. Minimum 0 at the origin; start
/// (1, …, 1).
///
/// Under gradient flow from there f = ½ Σλᵢ exp(−2λᵢt) falls as 1/t while 1 ≪ t ≪ κ, which is the rate of the bound
/// ‖x₀ − x*‖²/2t for convex functions.
///
/// # Errors
/// As [`check_quadratic`].
pub fn hard_convex(dimension: usize, condition: f64) -> Result<Function> {
    check_quadratic(dimension, condition)?;
    let eigenvalues = eigenvalues(dimension, condition);
    let function = Function::new(vec![1.0; dimension], move |x, gradient| {
        let mut value = 0.0;
        for ((g, x), eigenvalue) in gradient.iter_mut().zip(x).zip(&eigenvalues) {
            *g = eigenvalue * x;
            value += 0.5 * *g * x;
        }
        value
    });
    Ok(function.with_minimum_at(0.0, vec![0.0; dimension]))
}

/// A function that is not convex: f(x) = Σφ(√λᵢxᵢ) with φ(u) = (u² + 3 sin²u)/8 and λᵢ as in [`hard_convex`]. φ is the
/// example of Karimi, Nutini and Schmidt (*Linear Convergence of Gradient and Proximal-Gradient Methods under the
/// Polyak–Łojasiewicz Condition*, 2016), scaled to |φ″| ≤ 1; its only stationary point is 0. Minimum 0 at the origin;
/// start where all √λᵢxᵢ are 1.5 and φ″ < 0.
///
/// Under gradient flow from there √λᵢxᵢ is a function of λᵢt, so that ‖∇f‖² = Σλᵢφ′(√λᵢxᵢ)² falls as 1/t while
/// 1 ≪ t ≪ κ, which is the rate of the bound (f(x₀) − f*)/t for smooth functions.
///
/// # Errors
/// As [`check_quadratic`].
pub fn hard_non_convex(dimension: usize, condition: f64) -> Result<Function> {
    const START: f64 = 1.5;
    check_quadratic(dimension, condition)?;
    let eigenvalues = eigenvalues(dimension, condition);
    let roots: Vec<f64> = eigenvalues.into_iter().map(f64::sqrt).collect();
    let start = roots.iter().map(|root| START / root).collect();
    let function = Function::new(start, move |x, gradient| {
        let mut value = 0.0;
        for ((g, x), root) in gradient.iter_mut().zip(x).zip(&roots) {
            let u = root * x;
            let (sine, cosine) = u.sin_cos();
            // φ′(u) = (2u + 3 sin 2u)/8.
            *g = root * (u + 3.0 * sine * cosine) / 4.0;
            value += (u * u + 3.0 * sine * sine) / 8.0;
        }
        value
    });
    Ok(function.with_minimum_at(0.0, vec![0.0; dimension]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    const DIMENSION: usize = 20;
    const CONDITION: f64 = 1e6;

    fn value(function: &mut Function, x: &[f64]) -> f64 {
        function.evaluate(x, &mut [0.0; DIMENSION])
    }

    #[test]
    fn values_are_closed_forms_and_gradients_those_of_the_values() {
        // u²/2, and φ(π/2) = (π²/4 + 3)/8.
        let u = PI / 2.0;
        for (function, each) in [
            (hard_convex(DIMENSION, CONDITION), u * u / 2.0),
            (hard_non_convex(DIMENSION, CONDITION), (u * u + 3.0) / 8.0),
        ] {
            let mut function = function.unwrap();
            let roots = eigenvalues(DIMENSION, CONDITION).into_iter().map(f64::sqrt);
            let mut x: Vec<f64> = roots.map(|root| u / root).collect();
            let right = DIMENSION as f64 * each;
            assert!((value(&mut function, &x) / right - 1.0).abs() < 1e-12);
            let mut gradient = [0.0; DIMENSION];
            function.evaluate(&x, &mut gradient);
            for i in 0..DIMENSION {
                let (middle, step) = (x[i], 1e-4 * x[i]);
                x[i] = middle + step;
                let above = value(&mut function, &x);
                x[i] = middle - step;
                let below = value(&mut function, &x);
                x[i] = middle;
                let slope = (above - below) / (2.0 * step);
                assert!((gradient[i] / slope - 1.0).abs() < 1e-6, "{i}: {slope}");
            }
        }
    }

    #[test]
    fn the_start_of_what_is_not_convex_is_where_it_is_concave() {
        let mut function = hard_non_convex(DIMENSION, CONDITION).unwrap();
        let start = function.start.clone();
        let mut along = |scale: f64| {
            let x: Vec<f64> = start.iter().map(|x| scale * x).collect();
            value(&mut function, &x)
        };
        assert!(along(0.99) + along(1.01) < 2.0 * along(1.0));
    }
}
