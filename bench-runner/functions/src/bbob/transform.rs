//! The transformations that BBOB composes its functions of, each with its derivative, and the
//! penalty outside of the box.

use crate::lanes::sum;

/// A map of the search space onto itself.
pub(super) enum Transform {
    /// x − b.
    Shift(Vec<f64>),
    /// Dx with a diagonal D.
    Scale(Vec<f64>),
    /// Ax with a matrix A, column by column, and room for the result.
    Linear(Vec<f64>, Vec<f64>),
    /// A function of each coordinate and its number: its value and its slope; and room for the
    /// slopes.
    Each(fn(f64, f64) -> (f64, f64), Vec<f64>, Vec<f64>),
}

impl Transform {
    /// Ax with a matrix column by column.
    pub(super) fn linear(matrix: Vec<f64>, dimension: usize) -> Self {
        Self::Linear(matrix, vec![0.0; dimension])
    }

    /// T_osz: small smooth oscillations in each coordinate.
    pub(super) fn oscillate(dimension: usize) -> Self {
        Self::Each(
            |x, _| oscillate(x),
            vec![0.0; dimension],
            vec![0.0; dimension],
        )
    }

    /// T_asy with parameter β: powers that grow with the coordinate's number, for positive values
    /// only.
    pub(super) fn asymmetric(beta: f64, dimension: usize) -> Self {
        let rates = fractions(dimension).map(|fraction| beta * fraction);
        Self::Each(asymmetric, rates.collect(), vec![0.0; dimension])
    }

    /// Λ with condition number `condition`: the diagonal √condition^(i/(d − 1)), i from 0.
    pub(super) fn condition(condition: f64, dimension: usize) -> Self {
        Self::Scale(powers(condition.sqrt(), dimension).collect())
    }

    /// Replaces a point with its image.
    pub(super) fn forward(&mut self, x: &mut [f64]) {
        match self {
            Self::Shift(offset) => {
                for (x, offset) in x.iter_mut().zip(offset) {
                    *x -= *offset;
                }
            }
            Self::Scale(factors) => {
                for (x, factor) in x.iter_mut().zip(factors) {
                    *x *= *factor;
                }
            }
            Self::Linear(matrix, image) => {
                multiply(matrix, x, image);
                x.copy_from_slice(image);
            }
            Self::Each(function, parameters, slopes) => {
                for ((x, parameter), slope) in x.iter_mut().zip(parameters).zip(slopes) {
                    (*x, *slope) = function(*x, *parameter);
                }
            }
        }
    }

    /// Turns the gradient by the image into the gradient by the argument of the last
    /// [`Transform::forward`].
    pub(super) fn backward(&mut self, gradient: &mut [f64]) {
        match self {
            Self::Shift(_) => {}
            Self::Scale(factors) => {
                for (g, factor) in gradient.iter_mut().zip(factors) {
                    *g *= *factor;
                }
            }
            Self::Linear(matrix, image) => {
                multiply_transposed(matrix, gradient, image);
                gradient.copy_from_slice(image);
            }
            Self::Each(_, _, slopes) => {
                for (g, slope) in gradient.iter_mut().zip(slopes) {
                    *g *= *slope;
                }
            }
        }
    }
}

/// Writes Ax for a matrix given column by column. The terms of a sum are added in the columns'
/// order, as COCO does: some functions magnify the last digit.
pub(super) fn multiply(matrix: &[f64], x: &[f64], image: &mut [f64]) {
    image.fill(0.0);
    for (column, x) in matrix.chunks_exact(x.len()).zip(x) {
        for (image, a) in image.iter_mut().zip(column) {
            *image += a * x;
        }
    }
}

/// Writes Aᵀx for a matrix given column by column.
pub(super) fn multiply_transposed(matrix: &[f64], x: &[f64], image: &mut [f64]) {
    for (column, image) in matrix.chunks_exact(x.len()).zip(image) {
        *image = sum([column, x], |[a, x]| a * x);
    }
}

/// The product A Λ B of matrices given column by column and the diagonal base^(i/(d − 1)).
pub(super) fn product(a: &[f64], base: f64, b: &[f64], dimension: usize) -> Vec<f64> {
    let mut product = vec![0.0; dimension * dimension];
    let factors: Vec<f64> = powers(base, dimension).collect();
    let columns = product
        .chunks_exact_mut(dimension)
        .zip(b.chunks_exact(dimension));
    for (column, b) in columns {
        for ((a, factor), b) in a.chunks_exact(dimension).zip(&factors).zip(b) {
            for (entry, a) in column.iter_mut().zip(a) {
                *entry += a * factor * b;
            }
        }
    }
    product
}

/// The numbers i/(d − 1) for i = 0, …, d − 1.
pub(super) fn fractions(dimension: usize) -> impl Iterator<Item = f64> {
    (0..dimension).map(move |i| i as f64 / (dimension - 1) as f64)
}

/// The powers base^(i/(d − 1)) for i = 0, …, d − 1.
pub(super) fn powers(base: f64, dimension: usize) -> impl Iterator<Item = f64> {
    fractions(dimension).map(move |fraction| base.powf(fraction))
}

/// T_osz(x) = sign(x) exp(x̂ + 0.049(sin c₁x̂ + sin c₂x̂)), x̂ = ln|x|, and its slope. The slope
/// has no limit at 0; 1 is its mean.
pub(super) fn oscillate(x: f64) -> (f64, f64) {
    if x == 0.0 {
        return (0.0, 1.0);
    }
    let (c1, c2) = if x > 0.0 { (10.0, 7.9) } else { (5.5, 3.1) };
    let logarithm = x.abs().ln();
    let (sine1, cosine1) = (c1 * logarithm).sin_cos();
    let (sine2, cosine2) = (c2 * logarithm).sin_cos();
    let ratio = (0.049 * (sine1 + sine2)).exp();
    (
        x * ratio,
        ratio * (1.0 + 0.049 * (c1 * cosine1 + c2 * cosine2)),
    )
}

/// T_asy(x) = x^(1 + r√x) for x > 0, and x otherwise; and its slope.
fn asymmetric(x: f64, rate: f64) -> (f64, f64) {
    if x > 0.0 {
        let root = x.sqrt();
        let exponent = 1.0 + rate * root;
        let ratio = x.powf(rate * root);
        (x * ratio, ratio * (exponent + 0.5 * rate * root * x.ln()))
    } else {
        (x, 1.0)
    }
}

/// Adds factor · Σ max(0, |xᵢ| − 5)²: its gradient is added, its value returned.
pub(super) fn penalty(factor: f64, x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (g, x) in gradient.iter_mut().zip(x) {
        let excess = x.abs() - 5.0;
        if excess > 0.0 {
            value += excess * excess;
            *g += 2.0 * factor * excess.copysign(*x);
        }
    }
    factor * value
}
