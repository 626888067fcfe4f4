//! Gradient checkpointing: a part of a graph whose inner values are computed again in the backward
//! pass.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, DType, Layout, MetalStorage, Result, Shape,
    Storage, Tensor, TensorId, Var,
};

/// `part(input)`, of which Candle's graph keeps only the input and the output. `part` may depend on
/// the variables `parameters` and must give the same each time.
pub(crate) fn checkpoint(
    input: &Tensor,
    parameters: &[Var],
    part: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    // The graph that leads to this output is dropped with it.
    let output = part(&input.detach())?.detach().force_contiguous()?;
    // A node of Candle's graph has at most three arguments, but a part can have many parameters. Each is
    // stood for by one number, whose own node passes the gradient on.
    let gradients = Gradients::default();
    let stand_ins = parameters
        .iter()
        .map(|parameter| parameter.apply_op1(StandIn(gradients.clone())))
        .collect::<Result<Vec<_>>>()?;
    let stand_ins = Tensor::cat(&stand_ins, 0)?;
    let node = Checkpoint {
        output: Mutex::new(Some(output)),
        parameters: parameters.to_vec(),
        part,
        gradients,
    };
    input.apply_op2(&stand_ins, node)
}

/// The gradients of parameters between the node that computes them and those that pass them on.
#[derive(Default, Clone)]
struct Gradients(Arc<Mutex<HashMap<TensorId, Tensor>>>);

impl Gradients {
    fn set(&self, parameter: &Var, gradient: Tensor) {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gradients.insert(parameter.id(), gradient);
    }

    fn take(&self, parameter: &Tensor) -> Option<Tensor> {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gradients.remove(&parameter.id())
    }
}

struct Checkpoint<F> {
    /// The output, until Candle has a copy of it.
    output: Mutex<Option<Tensor>>,
    parameters: Vec<Var>,
    part: F,
    gradients: Gradients,
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
        stand_ins: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let input = Var::from_tensor(&input.detach())?;
        let output = (self.part)(&input)?;
        let mut gradients = (output * gradient)?.sum_all()?.backward()?;
        for parameter in &self.parameters {
            if let Some(gradient) = gradients.remove(parameter) {
                self.gradients.set(parameter, gradient);
            }
        }
        Ok((gradients.remove(&input), Some(stand_ins.zeros_like()?)))
    }
}

/// One zero in place of a parameter.
struct StandIn(Gradients);

impl CustomOp1 for StandIn {
    fn name(&self) -> &'static str {
        "checkpoint-parameter"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        zero(storage.device(), storage.dtype())
    }

    fn cuda_fwd(&self, storage: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        zero(storage.device(), storage.dtype())
    }

    fn metal_fwd(&self, storage: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        zero(storage.device(), storage.dtype())
    }

    fn bwd(&self, parameter: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.0.take(parameter))
    }
}

fn zero<D: BackendDevice>(device: &D, dtype: DType) -> Result<(D::Storage, Shape)> {
    let shape = Shape::from(1);
    Ok((device.zeros_impl(&shape, dtype)?, shape))
}
