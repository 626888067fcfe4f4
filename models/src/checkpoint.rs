//! Gradient checkpointing (Chen et al., arXiv 1604.06174): the inner values of a part of the graph
//! are not stored but computed again in the backward pass.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, Layout, MetalStorage, Result, Shape, Storage, Tensor, Var,
};

use crate::kernels::{ProxyGradients, proxies};

/// `part(input)`, of which Candle's graph stores only the input and the output. `part` may depend
/// on the variables `parameters`, and must give the same output each time.
pub(crate) fn checkpoint(
    input: &Tensor,
    parameters: &[Var],
    part: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    // Detached, so that the inner values are dropped here.
    let output = part(&input.detach())?.detach().force_contiguous()?;
    let (proxies, gradients) = proxies(parameters)?;
    let node = Checkpoint {
        output: Mutex::new(Some(output)),
        parameters: parameters.to_vec(),
        part,
        gradients,
    };
    input.apply_op2(&proxies, node)
}

struct Checkpoint<F> {
    /// The output, until Candle has taken it.
    output: Mutex<Option<Tensor>>,
    parameters: Vec<Var>,
    part: F,
    gradients: ProxyGradients,
}

impl<F> Checkpoint<F> {
    fn output<S>(&self, copy: impl Fn(&Storage, &Layout) -> Result<S>) -> Result<(S, Shape)> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(output) = output.take() else {
            candle_core::bail!("checkpoint: its output was taken before");
        };
        let (storage, layout) = output.storage_and_layout();
        Ok((copy(&storage, layout)?, layout.shape().clone()))
    }
}

/// One method of [`CustomOp2`] for a kind of storage.
macro_rules! copy_output {
    ($method:ident, $storage:ident, $kind:ident) => {
        fn $method(
            &self,
            _: &$storage,
            _: &Layout,
            _: &$storage,
            _: &Layout,
        ) -> Result<($storage, Shape)> {
            self.output(|storage, layout| match storage {
                Storage::$kind(storage) => storage.try_clone(layout),
                _ => candle_core::bail!("checkpoint: the output is on another device"),
            })
        }
    };
}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> CustomOp2 for Checkpoint<F> {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    copy_output!(cpu_fwd, CpuStorage, Cpu);
    copy_output!(cuda_fwd, CudaStorage, Cuda);
    copy_output!(metal_fwd, MetalStorage, Metal);

    fn bwd(
        &self,
        input: &Tensor,
        proxies: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let input = Var::from_tensor(&input.detach())?;
        let output = (self.part)(&input)?;
        let mut gradients = (output * gradient)?.sum_all()?.backward()?;
        for parameter in &self.parameters {
            if let Some(gradient) = gradients.remove(parameter) {
                self.gradients.put(parameter, gradient);
            }
        }
        Ok((gradients.remove(&input), Some(proxies.zeros_like()?)))
    }
}
