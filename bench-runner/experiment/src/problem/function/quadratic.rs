//! Convex quadratics with a chosen spectrum.

/// f(x) = ½ xᵀHx with H = QΛQ: eigenvalues spaced geometrically from 1 down to 1/κ, and the
/// Householder reflection Q = I − 2vvᵀ/‖v‖², v = (1, 2, …, d), so that the axes are no eigenvectors
/// and diagonal methods gain nothing from the coordinates. Costs O(d).
pub(super) struct Quadratic {
    eigenvalues: Vec<f64>,
    reflector: Vec<f64>,
}

impl Quadratic {
    pub(super) fn new(dimension: usize, condition: f64) -> Self {
        let last = (dimension.max(2) - 1) as f64;
        let eigenvalues = (0..dimension)
            .map(|i| condition.powf(-(i as f64) / last))
            .collect();
        let norm = (1..=dimension).map(|i| (i * i) as f64).sum::<f64>().sqrt();
        let reflector = (1..=dimension).map(|i| i as f64 / norm).collect();
        Self {
            eigenvalues,
            reflector,
        }
    }

    pub(super) fn evaluate(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
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
