//! What the tests share: seeded tensors and gradients from finite differences.

#![allow(unreachable_pub)]

pub mod golden;

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A tensor of `f64` values that are uniform on [-1, 1], a function of seed and shape.
pub fn uniform(seed: u64, shape: &[usize]) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A variable that starts at [`uniform`].
pub fn variable(seed: u64, shape: &[usize]) -> Var {
    Var::from_tensor(&uniform(seed, shape)).unwrap()
}

/// The sum of the output's elements with fixed uniform weights, a loss in which every element
/// counts differently.
pub fn weighted_sum(output: &Tensor) -> Result<Tensor> {
    let weights = uniform(7, output.dims()).to_dtype(output.dtype())?;
    (output * weights)?.sum_all()
}

/// Asserts that each variable has a gradient of `loss` and that it agrees with central differences,
/// at up to 12 elements of each variable. A maximum or ReLU may have its kink within the step:
/// shorter steps, whose rounding errors are larger, then leave it out.
pub fn assert_gradients<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a Var)>,
    loss: impl Fn() -> Result<Tensor>,
) {
    const STEPS: [f64; 3] = [1e-6, 1e-7, 1e-8];
    let gradients = loss().unwrap().backward().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (name, var) in variables {
        assert_eq!(var.dtype(), DType::F64, "finite differences need f64");
        let gradient = gradients.get(var);
        let gradient = gradient.unwrap_or_else(|| panic!("`{name}` has no gradient"));
        assert_eq!(gradient.dims(), var.dims(), "gradient of `{name}`");
        let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        let start = var.as_detached_tensor().copy().unwrap();
        let values: Vec<f64> = start.flatten_all().unwrap().to_vec1().unwrap();
        let scale = gradient.iter().fold(1e-3, |m: f64, g| m.max(g.abs()));
        let count = values.len();
        let chosen: Vec<usize> = if count <= 12 {
            (0..count).collect()
        } else {
            (0..12).map(|_| rng.random_range(0..count)).collect()
        };
        for i in chosen {
            let at = |shift: f64| {
                let mut moved = values.clone();
                moved[i] += shift;
                let moved = Tensor::from_vec(moved, var.dims(), var.device()).unwrap();
                var.set(&moved).unwrap();
                loss().unwrap().to_scalar::<f64>().unwrap()
            };
            let agrees = |step: f64| {
                let numeric = (at(step) - at(-step)) / (2.0 * step);
                (gradient[i] - numeric).abs() <= 2e-6 * scale.max(1.0)
            };
            assert!(
                STEPS.into_iter().any(agrees),
                "`{name}`[{i}]: gradient {}, finite difference {}",
                gradient[i],
                (at(STEPS[0]) - at(-STEPS[0])) / (2.0 * STEPS[0])
            );
        }
        var.set(&start).unwrap();
    }
}

/// The largest absolute difference of two tensors of one shape.
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let difference = (a.to_dtype(DType::F64).unwrap() - b.to_dtype(DType::F64).unwrap()).unwrap();
    let values: Vec<f64> = difference.flatten_all().unwrap().to_vec1().unwrap();
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}
