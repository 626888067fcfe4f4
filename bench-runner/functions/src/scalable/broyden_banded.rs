//! Broyden banded: a system of equations in seven neighbours each.

use crate::lanes::{map, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// The neighbours below and above in an equation.
const BELOW: usize = 5;
const ABOVE: usize = 1;

/// f(x) = Σ rᵢ², rᵢ = xᵢ(2 + 5xᵢ²) + 1 − Σⱼ xⱼ(1 + xⱼ) over i − 5 ≤ j ≤ i + 1, j ≠ i, minimum 0.
pub(crate) const BROYDEN_BANDED: TestFunction = TestFunction::new(
    "broyden-banded",
    "Broyden banded function",
    "C. G. Broyden, The Convergence of an Algorithm for Solving Sparse Nonlinear Systems, Math. \
     Comput. 25, 1971; problem 31 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::range(2, LARGEST),
    |d| {
        // xⱼ(1 + xⱼ) and rᵢ, with as many zeros on either side as an equation reaches, and the sums
        // of four in a row.
        let mut products = vec![0.0; BELOW + d + ABOVE];
        let mut residuals = vec![0.0; ABOVE + d + BELOW];
        let mut fours = vec![0.0; d];
        let four = |[a, b, c, d]: [f64; 4]| (a + b) + (c + d);
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            map([x], &mut products[BELOW..][..d], |[x]| x * (1.0 + x));
            let [p0, p1, p2, p3, p4, p6] = [0, 1, 2, 3, 4, 6].map(|shift| &products[shift..]);
            map([p0, p1, p2, p3], &mut fours, four);
            let value = sweep(
                [x, &fours, p4, p6],
                &mut residuals[ABOVE..][..d],
                |[x, four, p4, p6]| {
                    let residual = x * (2.0 + 5.0 * x * x) + 1.0 - (four + p4 + p6);
                    (residual * residual, residual)
                },
            );
            let [r0, r1, r2, r3, r4, r5, r6] =
                [0, 1, 2, 3, 4, 5, 6].map(|shift| &residuals[shift..]);
            map([r2, r3, r4, r5], &mut fours, four);
            map(
                [x, r0, r1, &fours, r6],
                gradient,
                |[x, r0, own, four, r6]| {
                    let band = r0 + four + r6;
                    2.0 * (own * (2.0 + 15.0 * x * x) - band * (1.0 + 2.0 * x))
                },
            );
            value
        };
        Function::new(vec![-1.0; d], evaluate).with_minimum(0.0)
    },
);
