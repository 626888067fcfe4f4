//! Extended Powell singular: groups of four whose Hessian is singular at the minimum.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σ (a + 10b)² + 5(c − e)² + (b − 2c)⁴ + 10(a − e)⁴ over the groups (a, b, c, e) of four
/// variables, minimum 0 at the origin.
pub(crate) const EXTENDED_POWELL: TestFunction = TestFunction::new(
    "extended-powell",
    "Extended Powell singular function",
    "M. J. D. Powell, An Iterative Method for Finding Stationary Values of a Function of Several \
     Variables, Comput. J. 5, 1962; problem 22 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::multiples(4, LARGEST),
    |d| {
        Function::new([3.0, -1.0, 0.0, 1.0].repeat(d / 4), evaluate)
            .with_minimum_at(0.0, vec![0.0; d])
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (g, x) in gradient.chunks_exact_mut(4).zip(x.chunks_exact(4)) {
        let p = x[0] + 10.0 * x[1];
        let q = x[2] - x[3];
        let r = x[1] - 2.0 * x[2];
        let s = x[0] - x[3];
        let (r_cube, s_cube) = (r * r * r, s * s * s);
        value += p * p + 5.0 * q * q + r * r_cube + 10.0 * s * s_cube;
        g[0] = 2.0 * p + 40.0 * s_cube;
        g[1] = 20.0 * p + 4.0 * r_cube;
        g[2] = 10.0 * q - 8.0 * r_cube;
        g[3] = -10.0 * q - 40.0 * s_cube;
    }
    value
}
