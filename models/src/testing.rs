//! Compares the two paths of a layer, its kernel and its tensor operations; on a GPU in builds for
//! CUDA.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::{Scope, Tensors};

/// The device of the layers under test.
pub(crate) fn device() -> Device {
    // Opened once: Candle does not mix tensors of two handles to one GPU.
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        if cfg!(feature = "cuda") {
            Device::new_cuda(0).unwrap()
        } else {
            Device::Cpu
        }
    });
    DEVICE.clone()
}

/// A scope for a layer in double precision.
pub(crate) fn scope() -> Scope {
    Scope::new(11, DType::F64, &device())
}

/// Values that all differ and repeat nowhere.
pub(crate) fn values(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let values: Vec<f64> = (0..count).map(|i| (i as f64 * 0.7 + 0.1).sin()).collect();
    Tensor::from_vec(values, shape, &device()).unwrap()
}

/// Asserts that both paths give the same output and the same gradients of `tensors` and `input`.
pub(crate) fn assert_same_paths(
    tensors: &Tensors,
    input: &Var,
    kernel: impl Fn() -> Result<Tensor>,
    fallback: impl Fn() -> Result<Tensor>,
) {
    let (kernel, fallback) = (kernel().unwrap(), fallback().unwrap());
    assert_close("output", &kernel, &fallback);
    let gradients = |output: &Tensor| {
        let weights = values(output.dims()).to_device(output.device()).unwrap();
        let weighted = (output * weights).unwrap();
        // As a vector: on GPUs, Candle cannot sum a single number.
        let weighted = weighted.flatten_all().unwrap();
        weighted.sum_all().unwrap().backward().unwrap()
    };
    let (kernel, fallback) = (gradients(&kernel), gradients(&fallback));
    let parameters = tensors
        .parameters
        .iter()
        .map(|(name, var)| (name.as_str(), var));
    for (name, var) in parameters.chain([("input", input)]) {
        let gradients = [&kernel, &fallback].map(|gradients| gradients.get(var));
        let [Some(kernel), Some(fallback)] = gradients else {
            panic!("{name}: a gradient is missing: {gradients:?}");
        };
        assert_close(name, kernel, fallback);
    }
}

/// The tensors of a network for images without the parameters of its classifier.
pub(crate) fn before_the_classifier(tensors: &Tensors) -> Tensors {
    let mut tensors = tensors.clone();
    tensors
        .parameters
        .retain(|(name, _)| !name.starts_with("fc"));
    tensors
}

/// Asserts that two networks have the same buffers.
pub(crate) fn assert_same_buffers(a: &Tensors, b: &Tensors) {
    for ((name, a), (_, b)) in a.buffers.iter().zip(&b.buffers) {
        assert_close(name, a, b);
    }
}

/// Asserts that a second backward pass gives the same gradients of `tensors` as the first.
pub(crate) fn assert_same_gradients_again(output: &Tensor, tensors: &Tensors) {
    let [first, second] = [(); 2].map(|()| output.backward().unwrap());
    for (name, var) in &tensors.parameters {
        assert_close(name, first.get(var).unwrap(), second.get(var).unwrap());
    }
}

/// Asserts that two tensors agree to rounding.
pub(crate) fn assert_close(name: &str, a: &Tensor, b: &Tensor) {
    assert_eq!(a.dims(), b.dims(), "{name}");
    let largest = |tensor: Tensor| -> f64 {
        let values: Vec<f64> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().fold(0.0, |m, v| m.max(v.abs()))
    };
    let scale = largest(a.clone()).max(1.0);
    let distance = largest((a - b).unwrap());
    assert!(distance <= 1e-11 * scale, "{name}: {distance:e} apart");
}
