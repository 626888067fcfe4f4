//! Functions of one tensor and any number of parameters as nodes of Candle's graph.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CustomOp2, DType, Device, Error, Layout, Result, Shape, Tensor, Var,
};

use super::Float;
use super::node::{slices, with_values};
use super::proxy::{ProxyGradients, proxies};

/// A differentiable function of an input and parameters, given as flat slices in row-major order.
/// It holds the shapes; the caller that builds it must have checked that they fit the slices.
pub(crate) trait Composite: Send + Sync + 'static {
    /// The name that Candle's errors show.
    const NAME: &'static str;

    /// The shape of the output.
    fn shape(&self) -> Shape;

    /// The output.
    fn forward<T: Float>(&self, input: &[T], parameters: &[&[T]]) -> Vec<T>;

    /// The gradients with respect to the input, which may be left out unless it is needed, and to
    /// each parameter.
    fn backward<T: Float>(
        &self,
        input: &[T],
        parameters: &[&[T]],
        output: &[T],
        gradient: &[T],
        input_needed: bool,
    ) -> (Option<Vec<T>>, Vec<Vec<T>>);
}

/// The function's value, which Candle can differentiate through.
pub(crate) fn apply_composite(
    function: impl Composite,
    input: &Tensor,
    parameters: &[Var],
) -> Result<Tensor> {
    let (proxies, gradients) = proxies(parameters)?;
    let node = Node {
        function,
        parameters: parameters.to_vec(),
        gradients,
    };
    input.contiguous()?.apply_op2(&proxies, node)
}

struct Node<F> {
    function: F,
    parameters: Vec<Var>,
    gradients: ProxyGradients,
}

impl<F: Composite> Node<F> {
    fn forward<T: Float>(&self, input: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
        let [input] = slices::<T, 1>([(input, layout)], F::NAME)?;
        let parameters: Vec<_> = self.parameters.iter().map(Var::as_tensor).collect();
        let output = with_values(&parameters, F::NAME, |parameters| {
            self.function.forward(input, parameters)
        })?;
        Ok(T::to_cpu_storage_owned(output))
    }

    fn backward<T: Float>(
        &self,
        input: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let needed = input.track_op();
        let mut tensors = vec![input, output, &gradient];
        tensors.extend(self.parameters.iter().map(Var::as_tensor));
        let (result, gradients) = with_values::<T, _>(&tensors, F::NAME, |values| {
            let (input, output, gradient) = (values[0], values[1], values[2]);
            self.function
                .backward(input, &values[3..], output, gradient, needed)
        })?;
        for (parameter, gradient) in self.parameters.iter().zip(gradients) {
            let gradient = Tensor::from_vec(gradient, parameter.shape(), &Device::Cpu)?;
            self.gradients.put(parameter, gradient);
        }
        result
            .map(|result| Tensor::from_vec(result, input.shape(), &Device::Cpu))
            .transpose()
    }
}

impl<F: Composite> CustomOp2 for Node<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let output = match input.dtype() {
            DType::F32 => self.forward::<f32>(input, layout)?,
            DType::F64 => self.forward::<f64>(input, layout)?,
            other => return Err(Error::UnsupportedDTypeForOp(other, F::NAME).bt()),
        };
        Ok((output, self.function.shape()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        proxies: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let input_gradient = match gradient.dtype() {
            DType::F32 => self.backward::<f32>(input, output, gradient)?,
            DType::F64 => self.backward::<f64>(input, output, gradient)?,
            other => return Err(Error::UnsupportedDTypeForOp(other, F::NAME).bt()),
        };
        Ok((input_gradient, Some(proxies.zeros_like()?)))
    }
}
