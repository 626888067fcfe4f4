//! Perm (0, d, β): sums of ever higher powers.

use crate::{Dimensions, Function, TestFunction, numbers};

/// β of the formula, as it is usually set.
const BETA: f64 = 10.0;

/// f(x) = Σᵢ [Σⱼ (j + β)(xⱼⁱ − 1/jⁱ)]², β = 10, minimum 0 at xⱼ = 1/j. It costs O(d²), and its
/// powers leave f64's range soon, hence the bound on d.
pub(crate) const PERM: TestFunction = TestFunction::new(
    "perm",
    "Perm function (0, d, 10)",
    "A. Neumaier's collection of global optimization problems, University of Vienna, 2003; problem \
     PERM0",
    Dimensions::range(2, 100),
    |d| {
        let mut powers = vec![0.0; d];
        let mut targets = vec![0.0; d];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            gradient.fill(0.0);
            powers.fill(1.0);
            targets.fill(1.0);
            let mut value = 0.0;
            for i in 1..=d {
                let mut residual = 0.0;
                for j in 0..d {
                    let number = (j + 1) as f64;
                    targets[j] /= number;
                    residual += (number + BETA) * (powers[j] * x[j] - targets[j]);
                }
                value += residual * residual;
                for j in 0..d {
                    let weight = (j + 1) as f64 + BETA;
                    gradient[j] += 2.0 * residual * weight * i as f64 * powers[j];
                    powers[j] *= x[j];
                }
            }
            value
        };
        let minimizer = numbers(d).map(f64::recip).collect();
        Function::new(vec![1.0; d], evaluate).with_minimum_at(0.0, minimizer)
    },
);
