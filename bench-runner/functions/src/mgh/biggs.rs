//! Biggs EXP6: a sum of exponentials fitted to thirteen points.

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// f(x) = Σᵢ₌₁¹³ (x₃e^(−tᵢx₁) − x₄e^(−tᵢx₂) + x₆e^(−tᵢx₅) − yᵢ)², tᵢ = i/10,
/// yᵢ = e^(−tᵢ) − 5e^(−10tᵢ) + 3e^(−4tᵢ). Minimum 0 at (1, 10, 1, 5, 4, 3), local minimum
/// 5.65565·10⁻³.
pub(crate) const BIGGS: TestFunction = TestFunction::new(
    "biggs-exp6",
    "Biggs EXP6 function",
    "M. C. Biggs, Minimization Algorithms Making Use of Non-quadratic Properties of the Objective \
    Function, J. Inst. Math. Appl. 8, 1971; problem 18 of Moré, Garbow & Hillstrom, ACM TOMS 7, \
    1981",
    Dimensions::only(6),
    |_| {
        let data: [(f64, f64); 13] = std::array::from_fn(|i| {
            let t = 0.1 * (i + 1) as f64;
            let y = (-t).exp() - 5.0 * (-10.0 * t).exp() + 3.0 * (-4.0 * t).exp();
            (t, y)
        });
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let mut sum = Squares::new(gradient);
            for (t, y) in data {
                let [a, b, c] = [x[0], x[1], x[4]].map(|rate| (-t * rate).exp());
                sum.add(
                    x[2] * a - x[3] * b + x[5] * c - y,
                    [-t * x[2] * a, t * x[3] * b, a, -b, -t * x[5] * c, c],
                );
            }
            sum.value
        };
        Function::new(vec![1.0, 2.0, 1.0, 1.0, 1.0, 1.0], evaluate)
            .with_minimum_at(0.0, vec![1.0, 10.0, 1.0, 5.0, 4.0, 3.0])
            .with_minimum(5.65565e-3)
    },
);
