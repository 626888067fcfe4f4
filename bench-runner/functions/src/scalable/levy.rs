//! Levy and Montalvo (1985): a valley covered with sine waves.

use std::f64::consts::PI;

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = sin²(πw₁) + Σᵢ₌₁^(d−1) (wᵢ − 1)² [1 + 10 sin²(πwᵢ + 1)] + (w_d − 1)² [1 + sin²(2πw_d)]
/// with wᵢ = 1 + (xᵢ − 1)/4, minimum 0 at (1, …, 1).
pub(crate) const LEVY: TestFunction = TestFunction::new(
    "levy",
    "Levy function",
    "A. V. Levy & A. Montalvo, The Tunneling Algorithm for the Global Minimization of Functions, \
    SIAM J. Sci. Stat. Comput. 6, 1985; in the form of M. Laguna & R. Martí, J. Glob. Optim. 33, \
    2005",
    Dimensions::range(2, LARGEST),
    |d| Function::new(vec![-3.0; d], evaluate).with_minimum_at(0.0, vec![1.0; d]),
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    // u = w − 1; the waves have the slope `rate` in their argument and the height `height`.
    let wave = |u: f64, height: f64, rate: f64, argument: f64| {
        let (sine, cosine) = argument.sin_cos();
        let swell = 1.0 + height * sine * sine;
        let slope = 2.0 * u * swell + u * u * 2.0 * height * rate * sine * cosine;
        (u * u * swell, 0.25 * slope)
    };
    let last = x.len() - 1;
    let mut value = 0.0;
    for (g, x) in gradient.iter_mut().zip(&x[..last]) {
        let u = 0.25 * (x - 1.0);
        let (term, slope) = wave(u, 10.0, PI, PI * (u + 1.0) + 1.0);
        value += term;
        *g = slope;
    }
    let u = 0.25 * (x[last] - 1.0);
    let (term, slope) = wave(u, 1.0, 2.0 * PI, 2.0 * PI * (u + 1.0));
    gradient[last] = slope;
    let (sine, cosine) = (PI * 0.25 * (x[0] + 3.0)).sin_cos();
    gradient[0] += 0.5 * PI * sine * cosine;
    value + term + sine * sine
}
