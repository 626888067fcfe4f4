//! Michalewicz (1992): d! steep canyons between plateaus.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::{Dimensions, Function, LARGEST, TestFunction, numbers};

/// f(x) = −Σ sin(xᵢ) sin²⁰(i xᵢ²/π), meant for 0 ≤ xᵢ ≤ π. The minima are known for d = 2, 5
/// and 10.
pub(crate) const MICHALEWICZ: TestFunction = TestFunction::new(
    "michalewicz",
    "Michalewicz function",
    "Z. Michalewicz, Genetic Algorithms + Data Structures = Evolution Programs, Springer, 1992",
    Dimensions::range(2, LARGEST),
    |d| {
        let rates: Vec<f64> = numbers(d).map(|i| i / PI).collect();
        let evaluate = move |x: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for ((g, x), rate) in gradient.iter_mut().zip(x).zip(&rates) {
                let (sine, cosine) = x.sin_cos();
                let (wave, slope) = (rate * x * x).sin_cos();
                let power = wave.powi(19);
                value -= sine * power * wave;
                *g = -cosine * power * wave - sine * 20.0 * power * slope * 2.0 * rate * x;
            }
            value
        };
        let function = Function::new(vec![2.0; d], evaluate);
        match d {
            2 => function
                .with_minimum_at(-1.801_303_410_098_55, vec![2.202_905_520_172_6, FRAC_PI_2]),
            5 => function.with_minimum(-4.687_658_179),
            10 => function.with_minimum(-9.660_151_716),
            _ => function,
        }
    },
);
