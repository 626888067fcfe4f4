//! Box three-dimensional: exponentials fitted to ten points.

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// f(x) = Σᵢ₌₁¹⁰ (e^(−tᵢx₁) − e^(−tᵢx₂) − x₃(e^(−tᵢ) − e^(−10tᵢ)))², tᵢ = i/10. Minimum 0 at (1,
/// 10, 1), at (10, 1, −1) and wherever x₁ = x₂ and x₃ = 0.
pub(crate) const BOX_3D: TestFunction = TestFunction::new(
    "box-3d",
    "Box three-dimensional function",
    "M. J. Box, A Comparison of Several Current Optimization Methods, Comput. J. 9, 1966; problem \
    12 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::only(3),
    |_| {
        let data: [(f64, f64); 10] = std::array::from_fn(|i| {
            let t = 0.1 * (i + 1) as f64;
            (t, (-t).exp() - (-10.0 * t).exp())
        });
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let mut sum = Squares::new(gradient);
            for (t, y) in data {
                let (a, b) = ((-t * x[0]).exp(), (-t * x[1]).exp());
                sum.add(a - b - x[2] * y, [-t * a, t * b, -y]);
            }
            sum.value
        };
        Function::new(vec![0.0, 10.0, 20.0], evaluate).with_minimum_at(0.0, vec![1.0, 10.0, 1.0])
    },
);
