//! First-order updates, and norms.

use candle_core::Tensor;

use super::{Card, Runs, name};
use crate::kernels::state_dtype;
use crate::kernels::update::Rule;
use crate::{Gradient, Parameters};

/// Makes one update in place and returns the gradient's Euclidean norm, in f64; the gradient fits the parameters.
pub(in crate::kernels) fn update<const N: usize>(
    rule: &impl Rule<N>,
    groups: &[usize],
    parameters: &Parameters,
    gradient: &Gradient,
    state: &[[Option<Tensor>; N]],
) -> candle_core::Result<f64> {
    let dtype = parameters.dtype();
    let real = state_dtype(dtype);
    let (size, real_size) = (dtype.size_in_bytes(), real.size_in_bytes());
    let vars = parameters.vars();
    let card = Card::of(&vars[0])?;
    let mut runs = Runs::new(parameters.element_count());
    for (((var, gradient), state), &group) in
        vars.iter().zip(gradient.tensors()).zip(state).zip(groups)
    {
        let length = var.elem_count();
        let mut vectors = [(0, real_size); 5];
        vectors[0] = (card.address(var, dtype, length)?, size);
        vectors[1] = (card.address(gradient, dtype, length)?, size);
        for ((address, _), vector) in vectors[2..].iter_mut().zip(state) {
            if let Some(vector) = vector {
                *address = card.address(vector, real, length)?;
            }
        }
        runs.push(vectors, length, group);
    }
    let (runs, count) = runs.upload(&card)?;
    let coefficients = card.upload(&rule.coefficients())?;
    let sums = card.partials(count, 1)?;
    let arguments = [
        runs.argument(&card),
        coefficients.argument(&card),
        sums.argument(&card),
    ];
    // SAFETY: the runs lie within the vectors, whose types and lengths were checked, and are as many as the blocks
    // and as the rows of `sums`; every group has its coefficients.
    unsafe { card.launch(&name(rule.name(), dtype), (count, 1), &arguments)? };
    Ok(card.totals(&[(&sums, 1)])?[0].sqrt())
}

/// The Euclidean norm of all tensors together, summed in f64; there is one at least, and all have one dtype.
pub(in crate::kernels) fn norm(tensors: &[Tensor]) -> candle_core::Result<f64> {
    let card = Card::of(&tensors[0])?;
    let dtype = tensors[0].dtype();
    let mut runs = Runs::new(tensors.iter().map(Tensor::elem_count).sum());
    for tensor in tensors {
        let length = tensor.elem_count();
        let mut vectors = [(0, 0); 5];
        vectors[0] = (card.address(tensor, dtype, length)?, dtype.size_in_bytes());
        runs.push(vectors, length, 0);
    }
    let (runs, count) = runs.upload(&card)?;
    let sums = card.partials(count, 1)?;
    let arguments = [runs.argument(&card), sums.argument(&card)];
    // SAFETY: the runs lie within the tensors, and are as many as the blocks and as the rows of `sums`.
    unsafe { card.launch(&name("squares", dtype), (count, 1), &arguments)? };
    Ok(card.totals(&[(&sums, 1)])?[0].sqrt())
}
