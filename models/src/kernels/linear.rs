//! Affine maps, with an activation of their input fused in.

use candle_core::Shape;

use super::matmul::{Matrix, Write, matmul};
use super::parallel::zeros;
use super::{Float, Function, column_sums, from_row_blocks};
use crate::options::{Activation, WeightLayout};

/// `y = activation(x) W^T + b` for `rows` rows of `inputs` elements. The activation is that of the
/// input, so the backward pass needs only the arguments, and the activated values are not stored.
pub(crate) struct Affine {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) layout: WeightLayout,
    pub(crate) activation: Option<Activation>,
    pub(crate) shape: Shape,
}

impl Affine {
    /// The weight as a matrix of `inputs` rows and `outputs` columns.
    fn matrix<'a, T>(&self, weight: &'a [T]) -> Matrix<'a, T> {
        match self.layout {
            WeightLayout::OutputInput => {
                Matrix::new(weight, self.outputs, self.inputs).transposed()
            }
            WeightLayout::InputOutput => Matrix::new(weight, self.inputs, self.outputs),
        }
    }

    fn multiply<T: Float>(&self, input: &[T], weight: &[T], output: &mut [T], write: Write) {
        let weight = self.matrix(weight);
        let product = |input: &[T], output: &mut [T]| {
            let input = Matrix::new(input, self.rows, self.inputs);
            matmul(input, weight, output, write);
        };
        match self.activation {
            Some(activation) => product(&activation.values(input), output),
            None => product(input, output),
        }
    }

    /// The gradients with respect to the input and the weight, where they are needed.
    fn gradients<T: Float>(
        &self,
        input: &[T],
        weight: &[T],
        gradient: &[T],
        [input_needed, weight_needed]: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        let activated_gradient = || self.activated_gradient(weight, gradient);
        let weight_gradient = |activated: &[T]| self.weight_gradient(activated, gradient);
        let Some(activation) = self.activation else {
            return rayon::join(
                || input_needed.then(activated_gradient),
                || weight_needed.then(|| weight_gradient(input)),
            )
            .into();
        };
        match (input_needed, weight_needed) {
            (true, true) => {
                let mut result = activated_gradient();
                let activated = activation.differentiate(input, &mut result);
                [Some(result), Some(weight_gradient(&activated))]
            }
            (true, false) => {
                let mut result = activated_gradient();
                activation.scale_by_derivative(input, &mut result);
                [Some(result), None]
            }
            (false, true) => [None, Some(weight_gradient(&activation.values(input)))],
            (false, false) => [None, None],
        }
    }

    /// The gradient with respect to the activated input.
    fn activated_gradient<T: Float>(&self, weight: &[T], gradient: &[T]) -> Vec<T> {
        let mut result = zeros(self.rows * self.inputs);
        let gradient = Matrix::new(gradient, self.rows, self.outputs);
        let weight = self.matrix(weight).transposed();
        matmul(gradient, weight, &mut result, Write::Replace);
        result
    }

    fn weight_gradient<T: Float>(&self, activated: &[T], gradient: &[T]) -> Vec<T> {
        let activated = Matrix::new(activated, self.rows, self.inputs);
        let gradient = Matrix::new(gradient, self.rows, self.outputs);
        let mut result = zeros(self.inputs * self.outputs);
        let [left, right] = match self.layout {
            WeightLayout::OutputInput => [gradient.transposed(), activated],
            WeightLayout::InputOutput => [activated.transposed(), gradient],
        };
        matmul(left, right, &mut result, Write::Replace);
        result
    }
}

impl Function<2> for Affine {
    const NAME: &'static str = "linear";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [input, weight]: [&[T]; 2]) -> Vec<T> {
        let mut output = zeros(self.rows * self.outputs);
        self.multiply(input, weight, &mut output, Write::Replace);
        output
    }

    fn backward<T: Float>(
        &self,
        [input, weight]: [&[T]; 2],
        _output: &[T],
        gradient: &[T],
        needed: [bool; 2],
    ) -> [Option<Vec<T>>; 2] {
        self.gradients(input, weight, gradient, needed)
    }
}

impl Function<3> for Affine {
    const NAME: &'static str = "linear";

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn forward<T: Float>(&self, [input, weight, bias]: [&[T]; 3]) -> Vec<T> {
        let mut output = from_row_blocks(
            self.rows * self.outputs,
            self.outputs,
            #[inline(always)]
            |_, rows| {
                for row in rows.chunks_exact_mut(self.outputs) {
                    row.copy_from_slice(bias);
                }
            },
        );
        self.multiply(input, weight, &mut output, Write::Add);
        output
    }

    fn backward<T: Float>(
        &self,
        [input, weight, _bias]: [&[T]; 3],
        _output: &[T],
        gradient: &[T],
        [input_needed, weight_needed, bias_needed]: [bool; 3],
    ) -> [Option<Vec<T>>; 3] {
        let needed = [input_needed, weight_needed];
        let ([input_gradient, weight_gradient], bias_gradient) = rayon::join(
            || self.gradients(input, weight, gradient, needed),
            || bias_needed.then(|| column_sums(gradient, self.outputs)),
        );
        [input_gradient, weight_gradient, bias_gradient]
    }
}
