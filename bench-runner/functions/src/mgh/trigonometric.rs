//! Trigonometric: every residual holds the cosines of all variables.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ rᵢ², rᵢ = d − Σⱼ cos xⱼ + i(1 − cos xᵢ) − sin xᵢ, minimum 0 at the origin; for d = 10 a
/// descent method may end in the local minimum 2.79506·10⁻⁵.
pub(crate) const TRIGONOMETRIC: TestFunction = TestFunction::new(
    "trigonometric",
    "Trigonometric function",
    "E. Spedicato, Computational Experience with Quasi-Newton Algorithms for Minimization \
    Problems of Moderately Large Size, CISE Milano N-175, 1975; problem 26 of Moré, Garbow & \
    Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, LARGEST),
    |d| {
        let mut sines = vec![0.0; d];
        let mut cosines = vec![0.0; d];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let mut missing = 0.0;
            for ((x, sine), cosine) in x.iter().zip(&mut sines).zip(&mut cosines) {
                (*sine, *cosine) = x.sin_cos();
                missing += 1.0 - *cosine;
            }
            let (mut value, mut residuals) = (0.0, 0.0);
            for (i, (g, (sine, cosine))) in gradient
                .iter_mut()
                .zip(sines.iter().zip(&cosines))
                .enumerate()
            {
                let number = (i + 1) as f64;
                let residual = missing + number * (1.0 - cosine) - sine;
                value += residual * residual;
                residuals += residual;
                *g = 2.0 * residual * (number * sine - cosine);
            }
            for (g, sine) in gradient.iter_mut().zip(&sines) {
                *g += 2.0 * residuals * sine;
            }
            value
        };
        let start = vec![1.0 / d as f64; d];
        let function = Function::new(start, evaluate).with_minimum_at(0.0, vec![0.0; d]);
        match d {
            10 => function.with_minimum(2.79506e-5),
            _ => function,
        }
    },
);
