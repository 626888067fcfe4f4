//! First-order updates, and sums of squares.

use candle_core::{Tensor, Var};

use super::device::{Gpu, Runs, name};
use crate::kernels::number::state_dtype;

/// Makes one update of `vars`, one at least, in place and returns the gradient's sum of squares, in
/// f64. The kernel is that of a rule.
pub(crate) fn update<const N: usize>(
    (operation, coefficients): (&str, Vec<f64>),
    groups: &[usize],
    vars: &[Var],
    gradient: &[Tensor],
    state: &[[Option<Tensor>; N]],
) -> candle_core::Result<f64> {
    let gpu = Gpu::of(&vars[0])?;
    let dtype = vars[0].dtype();
    let real = state_dtype(dtype);
    let (size, real_size) = (dtype.size_in_bytes(), real.size_in_bytes());
    let mut runs = Runs::new(vars.iter().map(|var| var.elem_count()).sum());
    for (((var, gradient), state), &group) in vars.iter().zip(gradient).zip(state).zip(groups) {
        let length = var.elem_count();
        let mut vectors = [(0, real_size); 5];
        vectors[0] = (gpu.address(var, dtype, length)?, size);
        vectors[1] = (gpu.address(gradient, dtype, length)?, size);
        for ((address, _), vector) in vectors[2..].iter_mut().zip(state) {
            if let Some(vector) = vector {
                *address = gpu.address(vector, real, length)?;
            }
        }
        runs.push(vectors, length, group);
    }
    let (runs, count) = runs.upload(&gpu)?;
    let coefficients = gpu.upload(&coefficients)?;
    let sums = gpu.partials(count, 1)?;
    let arguments = [
        runs.argument(&gpu),
        coefficients.argument(&gpu),
        sums.argument(&gpu),
    ];
    // SAFETY: the runs lie within the vectors, whose types and lengths were checked, and are as
    // many as the blocks and as the rows of `sums`; every group has its coefficients.
    unsafe { gpu.launch(&name(operation, dtype), (count, 1), &arguments)? };
    Ok(gpu.totals(&[(&sums, 1)])?[0])
}

/// The sum of squares of all tensors together, in f64. There is one at least, and all have one
/// dtype.
pub(crate) fn sum_of_squares(tensors: &[Tensor]) -> candle_core::Result<f64> {
    let gpu = Gpu::of(&tensors[0])?;
    let dtype = tensors[0].dtype();
    let mut runs = Runs::new(tensors.iter().map(Tensor::elem_count).sum());
    for tensor in tensors {
        let length = tensor.elem_count();
        let mut vectors = [(0, 0); 5];
        vectors[0] = (gpu.address(tensor, dtype, length)?, dtype.size_in_bytes());
        runs.push(vectors, length, 0);
    }
    let (runs, count) = runs.upload(&gpu)?;
    let sums = gpu.partials(count, 1)?;
    let arguments = [runs.argument(&gpu), sums.argument(&gpu)];
    // SAFETY: the runs lie within the tensors, and are as many as the blocks and as the rows of
    // `sums`.
    unsafe { gpu.launch(&name("squares", dtype), (count, 1), &arguments)? };
    Ok(gpu.totals(&[(&sums, 1)])?[0])
}
