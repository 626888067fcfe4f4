//! Functions as nodes of Candle's graph, on tensors of a GPU.

use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::driver::CudaView;
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Error, Layout, Result, Shape, Storage, Tensor, bail};
use half::{bf16, f16};

use super::{Gpu, GpuFloat, OnGpu, UntypedView};
use crate::kernels::Function;

/// Runs `$body` with `$type` bound to the element type of `$dtype`.
macro_rules! with_element {
    ($dtype:expr, $op:expr, $type:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $type = f32;
                $body
            }
            DType::F64 => {
                type $type = f64;
                $body
            }
            DType::F16 => {
                type $type = f16;
                $body
            }
            DType::BF16 => {
                type $type = bf16;
                $body
            }
            other => Err(Error::UnsupportedDTypeForOp(other, $op).bt()),
        }
    };
}

/// The function's output, and its shape.
pub(crate) fn forward<const N: usize, F: Function<N>>(
    function: &F,
    inputs: [(&CudaStorage, &Layout); N],
) -> Result<(CudaStorage, Shape)> {
    let inputs = inputs.map(|(storage, layout)| UntypedView { storage, layout });
    let gpu = Gpu::of(inputs[0].storage);
    let output = with_element!(inputs[0].storage.dtype(), F::NAME, T => {
        OnGpu::forward_on_gpu(function, &gpu, views::<T, N>(inputs)?)
    })?;
    Ok((output, function.shape()))
}

/// The gradients with respect to those inputs that are differentiated through.
pub(crate) fn backward<const N: usize, F: Function<N>>(
    function: &F,
    inputs: [&Tensor; N],
    output: &Tensor,
    gradient: &Tensor,
) -> Result<[Option<Tensor>; N]> {
    let needed = inputs.map(Tensor::track_op);
    let gradient = gradient.contiguous()?;
    let guards = inputs.map(Tensor::storage_and_layout);
    let (output, output_layout) = output.storage_and_layout();
    let (gradient, gradient_layout) = gradient.storage_and_layout();
    let output = values(&output, output_layout)?;
    let gradient = values(&gradient, gradient_layout)?;
    let mut arguments = Vec::with_capacity(N);
    for (storage, layout) in &guards {
        arguments.push(values(storage, layout)?);
    }
    let arguments: [UntypedView<'_>; N] = std::array::from_fn(|i| arguments[i]);
    let gpu = Gpu::of(arguments[0].storage);
    with_element!(arguments[0].storage.dtype(), F::NAME, T => {
        let views = views::<T, N>(arguments)?;
        let mut gradients =
            OnGpu::backward_on_gpu(function, &gpu, views, output, gradient, needed)?;
        Ok(std::array::from_fn(|i| {
            let gradient = Storage::Cuda(gpu.store::<T>(gradients[i].take()?));
            Some(Tensor::from_storage(gradient, inputs[i].shape(), BackpropOp::none(), false))
        }))
    })
}

fn values<'a>(storage: &'a Storage, layout: &'a Layout) -> Result<UntypedView<'a>> {
    match storage {
        Storage::Cuda(storage) => Ok(UntypedView { storage, layout }),
        _ => bail!("expected a tensor on a CUDA device"),
    }
}

fn views<T: GpuFloat, const N: usize>(
    values: [UntypedView<'_>; N],
) -> Result<[CudaView<'_, T>; N]> {
    let mut views = Vec::with_capacity(N);
    for values in values {
        views.push(values.view()?);
    }
    match views.try_into() {
        Ok(views) => Ok(views),
        Err(_) => bail!("expected {N} tensors"),
    }
}
