//! Brown: neighbours that are each other's exponents.

use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ (xᵢ²)^(xᵢ₊₁² + 1) + (xᵢ₊₁²)^(xᵢ² + 1), minimum 0 at the origin.
pub(crate) const BROWN: TestFunction = TestFunction::new(
    "brown",
    "Brown function",
    "M. Jamil & X.-S. Yang, A Literature Survey of Benchmark Functions, Int. J. Math. Model. \
    Numer. Optim. 4, 2013, function 25",
    Dimensions::range(2, LARGEST),
    |d| {
        let start = (0..d).map(|i| if i % 2 == 0 { -1.0 } else { 2.0 });
        Function::new(start.collect(), evaluate).with_minimum_at(0.0, vec![0.0; d])
    },
);

fn evaluate(x: &[f64], gradient: &mut [f64]) -> f64 {
    gradient.fill(0.0);
    let mut value = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (x[i] * x[i], x[i + 1] * x[i + 1]);
        // With p = aᵇ: ∂(a p)/∂a = (b + 1) p and ∂(a p)/∂b = a p ln a, whose limit at a = 0 is 0.
        let (p, q) = (a.powf(b), b.powf(a));
        let logarithm = |square: f64| if square > 0.0 { square.ln() } else { 0.0 };
        value += a * p + b * q;
        let by_a = (b + 1.0) * p + b * q * logarithm(b);
        let by_b = (a + 1.0) * q + a * p * logarithm(a);
        gradient[i] += 2.0 * x[i] * by_a;
        gradient[i + 1] += 2.0 * x[i + 1] * by_b;
    }
    value
}
