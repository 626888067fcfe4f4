//! A network's parameters in the layout that the kernels read.

use super::real::Real;
use crate::physics::activation::Activation;

/// A network's parameters as the kernels read them.
pub(crate) struct Parameters<T> {
    pub(super) activation: Activation,
    pub(super) features: usize,
    pub(super) hidden: Vec<Hidden<T>>,
    /// One weight for each unit of the last hidden layer, padded.
    pub(super) output: Vec<T>,
    pub(super) output_bias: T,
}

/// A hidden layer.
pub(super) struct Hidden<T> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// The outputs whose weights' gradient is a matrix product with a column for each of them, padding
    /// included; that of the rest has a row for each.
    pub(super) main: usize,
    /// The weight from input k to output j at `k * padded(outputs) + j`.
    pub(super) forward: Vec<T>,
    /// The same weight at `j * padded(inputs) + k`; not used in the first layer.
    pub(super) backward: Vec<T>,
    pub(super) bias: Vec<T>,
}

/// The number of columns that `units` take.
pub(super) fn padded<T: Real>(units: usize) -> usize {
    units.next_multiple_of(T::PAD)
}

impl<T: Real> Hidden<T> {
    pub(super) fn new(weight: &[T], bias: &[T], is_first: bool) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs;
        let (rows, columns) = (padded::<T>(inputs), padded::<T>(outputs));
        let mut forward = vec![T::zero(); inputs * columns];
        let mut backward = vec![T::zero(); outputs * rows];
        for j in 0..outputs {
            for k in 0..inputs {
                let value = weight[j * inputs + k];
                forward[k * columns + j] = value;
                backward[j * rows + k] = value;
            }
        }
        // Columns of which most are padding cost more than a few rows.
        let rest = outputs % T::PAD;
        let main = if is_first || rest > T::PAD / 4 {
            columns
        } else {
            outputs - rest
        };
        let mut padded_bias = vec![T::zero(); columns];
        padded_bias[..outputs].copy_from_slice(bias);
        Self {
            inputs,
            outputs,
            main,
            forward,
            backward,
            bias: padded_bias,
        }
    }

    /// The outputs beside [`main`](Self::main).
    pub(super) fn rest(&self) -> usize {
        self.outputs.saturating_sub(self.main)
    }

    /// The elements of the gradient: `[inputs, main]`, `[rest, padded inputs]` and the bias.
    pub(super) fn gradient_len(&self) -> usize {
        let rest = self.rest() * padded::<T>(self.inputs);
        self.inputs * self.main + rest + padded::<T>(self.outputs)
    }
}
