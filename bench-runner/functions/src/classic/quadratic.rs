//! Convex quadratics with a chosen spectrum.

use crate::{Dimensions, Error, Function, Result};

const DIMENSIONS: Dimensions = Dimensions::range(1, usize::MAX);

/// f(x) = ½ xᵀHx with H = QΛQ: eigenvalues spaced geometrically from 1 down to 1/κ, and the
/// Householder reflection Q = I − 2vvᵀ/‖v‖², v = (1, 2, …, d), so that the axes are no eigenvectors
/// and diagonal methods gain nothing from the coordinates. Costs O(d). Minimum 0 at the origin;
/// start (1, …, 1), at distance √d.
///
/// # Errors
/// As [`check_quadratic`].
pub fn quadratic(dimension: usize, condition: f64) -> Result<Function> {
    check_quadratic(dimension, condition)?;
    let quadratic = Quadratic::new(dimension, condition);
    Ok(Function::new(vec![1.0; dimension], move |x, gradient| {
        quadratic.evaluate(x, gradient)
    })
    .with_minimum_at(0.0, vec![0.0; dimension]))
}

/// Whether there is such a [`quadratic`]. Costs nothing.
///
/// # Errors
/// [`Error::Dimension`] for dimension 0, [`Error::Condition`] unless κ = `condition` is finite and
/// at least 1.
pub fn check_quadratic(dimension: usize, condition: f64) -> Result<()> {
    if !DIMENSIONS.contains(dimension) {
        return Err(Error::Dimension {
            function: "quadratic",
            dimension,
            defined: DIMENSIONS,
        });
    }
    if !(condition >= 1.0 && condition.is_finite()) {
        return Err(Error::Condition(condition));
    }
    Ok(())
}

/// Spaced geometrically from 1 down to 1/κ.
pub(super) fn eigenvalues(dimension: usize, condition: f64) -> Vec<f64> {
    let last = (dimension.max(2) - 1) as f64;
    (0..dimension)
        .map(|i| condition.powf(-(i as f64) / last))
        .collect()
}

struct Quadratic {
    eigenvalues: Vec<f64>,
    reflector: Vec<f64>,
}

impl Quadratic {
    fn new(dimension: usize, condition: f64) -> Self {
        let eigenvalues = eigenvalues(dimension, condition);
        let norm = (1..=dimension).map(|i| (i * i) as f64).sum::<f64>().sqrt();
        let reflector = (1..=dimension).map(|i| i as f64 / norm).collect();
        Self {
            eigenvalues,
            reflector,
        }
    }

    fn evaluate(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.copy_from_slice(x);
        self.reflect(gradient);
        for (g, eigenvalue) in gradient.iter_mut().zip(&self.eigenvalues) {
            *g *= eigenvalue;
        }
        self.reflect(gradient);
        0.5 * x
            .iter()
            .zip(gradient.iter())
            .map(|(x, g)| x * g)
            .sum::<f64>()
    }

    fn reflect(&self, x: &mut [f64]) {
        let product: f64 = x.iter().zip(&self.reflector).map(|(x, v)| x * v).sum();
        for (x, v) in x.iter_mut().zip(&self.reflector) {
            *x -= 2.0 * product * v;
        }
    }
}
