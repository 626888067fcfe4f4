//! Penalty II: exponentials of neighbours and a weighted sphere.

use crate::{Dimensions, Function, TestFunction};

/// a of the formula.
const A: f64 = 1e-5;

/// f(x) = (x₁ − 0.2)² + a Σᵢ₌₂ (e^(xᵢ/10) + e^(xᵢ₋₁/10) − yᵢ)² + a Σᵢ₌₂ (e^(xᵢ/10) − e^(−1/10))² +
/// (Σⱼ (d − j + 1)xⱼ² − 1)², a = 10⁻⁵, yᵢ = e^(i/10) + e^((i−1)/10). The minima are published for
/// d = 4 and 10; the yᵢ grow too fast for d above 100.
pub(crate) const PENALTY_2: TestFunction = TestFunction::new(
    "penalty-2",
    "Penalty function II",
    "P. E. Gill, W. Murray & R. A. Pitfield, The Implementation of Two Revised Quasi-Newton \
    Algorithms for Unconstrained Optimization, NPL NAC 11, 1972; problem 24 of Moré, Garbow & \
    Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, 100),
    |d| {
        let level = |i: usize| (i as f64 / 10.0).exp();
        let targets: Vec<f64> = (1..d).map(|i| level(i + 1) + level(i)).collect();
        let floor = (-0.1f64).exp();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let mut value = (x[0] - 0.2) * (x[0] - 0.2);
            let mut sphere = -1.0;
            for (i, (g, x)) in gradient.iter_mut().zip(x).enumerate() {
                let weight = (d - i) as f64;
                sphere += weight * x * x;
                *g = 4.0 * weight * x;
            }
            for g in gradient.iter_mut() {
                *g *= sphere;
            }
            gradient[0] += 2.0 * (x[0] - 0.2);
            let mut before = (x[0] / 10.0).exp();
            for (i, target) in targets.iter().enumerate() {
                let own = (x[i + 1] / 10.0).exp();
                let pair = own + before - target;
                let single = own - floor;
                value += A * (pair * pair + single * single);
                gradient[i] += 0.2 * A * pair * before;
                gradient[i + 1] += 0.2 * A * (pair + single) * own;
                before = own;
            }
            value + sphere * sphere
        };
        let function = Function::new(vec![0.5; d], evaluate);
        match d {
            4 => function.with_minimum(9.37629e-6),
            10 => function.with_minimum(2.93660e-4),
            _ => function,
        }
    },
);
