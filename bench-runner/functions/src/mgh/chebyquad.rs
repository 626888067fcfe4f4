//! Chebyquad: abscissas for quadrature with equal weights.

use crate::{Dimensions, Function, TestFunction, numbers};

/// f(x) = Σᵢ₌₁ᵈ (Σⱼ Tᵢ(xⱼ)/d − ∫₀¹ Tᵢ)² with the Chebyshev polynomials Tᵢ shifted to [0, 1].
/// Minimum 0 for d up to 7 and d = 9, published for d = 8 and 10. It costs O(d²), hence the bound
/// on d.
pub(crate) const CHEBYQUAD: TestFunction = TestFunction::new(
    "chebyquad",
    "Chebyquad function",
    "R. Fletcher, Function Minimization Without Evaluating Derivatives: A Review, Comput. J. 8, \
    1965; problem 35 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, 100),
    |d| {
        let start = numbers(d).map(|j| j / (d + 1) as f64).collect();
        let mut residuals = vec![0.0; d];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            for (i, residual) in (1..).zip(residuals.iter_mut()) {
                let integral = match i % 2 {
                    0 => -1.0 / (i * i - 1) as f64,
                    _ => 0.0,
                };
                *residual = -integral;
            }
            let share = 1.0 / d as f64;
            for x in x {
                let x = 2.0 * x - 1.0;
                let (mut before, mut now) = (1.0, x);
                for residual in &mut residuals {
                    *residual += share * now;
                    (before, now) = (now, 2.0 * x * now - before);
                }
            }
            for (g, x) in gradient.iter_mut().zip(x) {
                let x = 2.0 * x - 1.0;
                // The polynomials and their derivatives by the unshifted variable.
                let (mut before, mut now) = (1.0, x);
                let (mut slope_before, mut slope) = (0.0, 2.0);
                *g = 0.0;
                for residual in &residuals {
                    *g += 2.0 * share * residual * slope;
                    (slope_before, slope) = (slope, 4.0 * now + 2.0 * x * slope - slope_before);
                    (before, now) = (now, 2.0 * x * now - before);
                }
            }
            residuals.iter().map(|residual| residual * residual).sum()
        };
        let function = Function::new(start, evaluate);
        match d {
            2..=7 | 9 => function.with_minimum(0.0),
            8 => function.with_minimum(3.51687e-3),
            10 => function.with_minimum(6.50395e-3),
            _ => function,
        }
    },
);
