//! Watson: a polynomial solution of a differential equation, the worse conditioned the higher its
//! degree.

use crate::{Dimensions, Function, TestFunction};

/// The points tᵢ = i/29 at which the equation counts.
const POINTS: usize = 29;

/// f(x) = Σᵢ₌₁²⁹ (p′(tᵢ) − p(tᵢ)² − 1)² + x₁² + (x₂ − x₁² − 1)² with the polynomial p(t) = Σⱼ
/// xⱼtʲ⁻¹. The minima are published for d = 6, 9 and 12.
pub(crate) const WATSON: TestFunction = TestFunction::new(
    "watson",
    "Watson function",
    "J. S. Kowalik & M. R. Osborne, Methods for Unconstrained Optimization Problems, Elsevier, \
    1968; problem 20 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, 31),
    |d| {
        // tᵢʲ⁻¹ and (j − 1)tᵢʲ⁻², a row per point.
        let entry = |k: usize| ((k / d + 1) as f64 / POINTS as f64, (k % d) as i32);
        let powers: Vec<f64> = (0..POINTS * d)
            .map(|k| {
                let (t, order) = entry(k);
                t.powi(order)
            })
            .collect();
        let slopes: Vec<f64> = (0..POINTS * d)
            .map(|k| {
                let (t, order) = entry(k);
                f64::from(order) * t.powi(order - 1)
            })
            .collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            gradient.fill(0.0);
            let mut value = 0.0;
            for (powers, slopes) in powers.chunks_exact(d).zip(slopes.chunks_exact(d)) {
                let (mut polynomial, mut derivative) = (0.0, 0.0);
                for ((x, power), slope) in x.iter().zip(powers).zip(slopes) {
                    polynomial += x * power;
                    derivative += x * slope;
                }
                let residual = derivative - polynomial * polynomial - 1.0;
                value += residual * residual;
                for ((g, power), slope) in gradient.iter_mut().zip(powers).zip(slopes) {
                    *g += 2.0 * residual * (slope - 2.0 * polynomial * power);
                }
            }
            let residual = x[1] - x[0] * x[0] - 1.0;
            gradient[0] += 2.0 * x[0] - 4.0 * residual * x[0];
            gradient[1] += 2.0 * residual;
            value + x[0] * x[0] + residual * residual
        };
        let function = Function::new(vec![0.0; d], evaluate);
        match d {
            6 => function.with_minimum(2.28767e-3),
            9 => function.with_minimum(1.39976e-6),
            12 => function.with_minimum(4.72238e-10),
            _ => function,
        }
    },
);
