//! BDQRTIC: banded quartics.

use crate::lanes::{map, sum, sweep};
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// f(x) = Σᵢ₌₁^(d−4) (3 − 4xᵢ)² + (xᵢ² + 2xᵢ₊₁² + 3xᵢ₊₂² + 4xᵢ₊₃² + 5x_d²)². The minimum has no
/// closed form.
pub(crate) const BDQRTIC: TestFunction = TestFunction::new(
    "bdqrtic",
    "Banded quartic function (BDQRTIC)",
    "A. R. Conn, N. I. M. Gould, M. Lescrenier & P. L. Toint, Performance of a Multifrontal \
    Scheme for Partially Separable Optimization, FUNDP Namur 88/4, 1988, problem 61; CUTEst",
    Dimensions::range(5, LARGEST),
    |d| {
        let terms = d - 4;
        let mut squares = vec![0.0; d];
        // The d − 4 bands with three zeros on either side.
        let mut bands = vec![0.0; terms + 6];
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            map([x], &mut squares, |[x]| x * x);
            let tip = 5.0 * squares[d - 1];
            let value = sweep(
                [&squares, &squares[1..], &squares[2..], &squares[3..]],
                &mut bands[3..][..terms],
                |[a, b, c, d]| {
                    let band = a + 2.0 * b + 3.0 * c + 4.0 * d + tip;
                    (band * band, band)
                },
            );
            let (gradient, last) = gradient.split_at_mut(d - 1);
            map(
                [x, &bands, &bands[1..], &bands[2..], &bands[3..]],
                gradient,
                |[x, a, b, c, own]| 4.0 * x * (own + 2.0 * c + 3.0 * b + 4.0 * a),
            );
            for (g, x) in gradient.iter_mut().zip(&x[..terms]) {
                *g -= 8.0 * (3.0 - 4.0 * x);
            }
            last[0] = 20.0 * x[d - 1] * sum([&bands], |[band]| band);
            value + sum([&x[..terms]], |[x]| (3.0 - 4.0 * x) * (3.0 - 4.0 * x))
        };
        Function::new(vec![1.0; d], evaluate)
    },
);
