//! Gulf research and development: a Weibull distribution fitted to 99 points.

use crate::squares::Squares;
use crate::{Dimensions, Function, TestFunction};

/// f(x) = Σᵢ₌₁⁹⁹ (exp(−|yᵢ − x₂|^x₃/x₁) − tᵢ)², tᵢ = i/100, yᵢ = 25 + (−50 ln tᵢ)^(2/3). Minimum 0
/// at (50, 25, 1.5). The factor m i before x₂ in the article is a misprint.
pub(crate) const GULF: TestFunction = TestFunction::new(
    "gulf",
    "Gulf research and development function",
    "R. A. Cox, Comparison of the Performance of Seven Optimization Algorithms on Twelve \
    Unconstrained Minimization Problems, Gulf Research 1335CNO4, 1969; problem 11 of Moré, Garbow \
    & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::only(3),
    |_| {
        let data: [(f64, f64); 99] = std::array::from_fn(|i| {
            let t = (i + 1) as f64 / 100.0;
            (t, 25.0 + (-50.0 * t.ln()).powf(2.0 / 3.0))
        });
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let mut sum = Squares::new(gradient);
            for (t, y) in data {
                let distance = y - x[1];
                let logarithm = distance.abs().ln();
                let power = (x[2] * logarithm).exp();
                let bell = (-power / x[0]).exp();
                let rate = bell * power / x[0];
                // At a distance of 0 the power is 0, and so are the slopes for exponents above 1; a
                // bell of 0 has none.
                let slopes = if distance == 0.0 || bell == 0.0 {
                    [0.0; 3]
                } else {
                    [rate / x[0], rate * x[2] / distance, -rate * logarithm]
                };
                sum.add(bell - t, slopes);
            }
            sum.value
        };
        Function::new(vec![5.0, 2.5, 0.15], evaluate).with_minimum_at(0.0, vec![50.0, 25.0, 1.5])
    },
);
