//! Brown and Dennis: curves fitted to twenty points, with a large minimum.

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// f(x) = Σᵢ₌₁²⁰ ((x₁ + tᵢx₂ − e^tᵢ)² + (x₃ + x₄ sin tᵢ − cos tᵢ)²)², tᵢ = i/5. Minimum 85822.2.
pub(crate) const BROWN_DENNIS: TestFunction = TestFunction::new(
    "brown-dennis",
    "Brown and Dennis function",
    "K. M. Brown & J. E. Dennis, New Computational Algorithms for Minimizing a Sum of Squares of \
    Nonlinear Functions, Yale University 71-6, 1971; problem 16 of Moré, Garbow & Hillstrom, ACM \
    TOMS 7, 1981",
    Dimensions::only(4),
    |_| {
        let data: [[f64; 4]; 20] = std::array::from_fn(|i| {
            let t = (i + 1) as f64 / 5.0;
            [t, t.exp(), t.sin(), t.cos()]
        });
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let mut sum = Squares::new(gradient);
            for [t, exponential, sine, cosine] in data {
                let a = x[0] + t * x[1] - exponential;
                let b = x[2] + x[3] * sine - cosine;
                sum.add(
                    a * a + b * b,
                    [2.0 * a, 2.0 * a * t, 2.0 * b, 2.0 * b * sine],
                );
            }
            sum.value
        };
        Function::new(vec![25.0, 5.0, -5.0, -1.0], evaluate).with_minimum(85822.2)
    },
);
