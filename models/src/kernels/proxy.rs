//! Proxies of parameters in Candle's graph.
//!
//! A node of the graph has at most three arguments, but a part of a model may depend on many
//! parameters. Each parameter gets a proxy, a node that holds one number and passes the parameter's
//! gradient on; the vector of all proxies is one argument.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Layout, MetalStorage, Result, Shape, Tensor,
    TensorId, Var,
};

/// The proxies of `parameters` as one vector, an argument for the node that depends on them, and
/// where that node's backward pass must put their gradients. As the vector's own gradient it
/// returns zeros.
pub(crate) fn proxies(parameters: &[Var]) -> Result<(Tensor, ProxyGradients)> {
    let gradients = ProxyGradients::default();
    let proxies = parameters
        .iter()
        .map(|parameter| parameter.apply_op1(ParameterProxy(gradients.clone())))
        .collect::<Result<Vec<_>>>()?;
    Ok((Tensor::cat(&proxies, 0)?, gradients))
}

/// Gradients on their way from the node that computes them to the parameters' proxies.
#[derive(Default, Clone)]
pub(crate) struct ProxyGradients(Arc<Mutex<HashMap<TensorId, Tensor>>>);

impl ProxyGradients {
    /// Hands over the gradient with respect to a parameter.
    pub(crate) fn put(&self, parameter: &Var, gradient: Tensor) {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gradients.insert(parameter.id(), gradient);
    }

    fn take(&self, parameter: &Tensor) -> Option<Tensor> {
        let mut gradients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gradients.remove(&parameter.id())
    }
}

/// The node of one proxy, whose value is zero.
struct ParameterProxy(ProxyGradients);

impl CustomOp1 for ParameterProxy {
    fn name(&self) -> &'static str {
        "stand-in"
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
