//! What a function does on a GPU.

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Result, bail};

use super::{Gpu, GpuFloat, UntypedView};

/// A function of `N` tensors on a GPU, given as flat views in row-major order.
pub(crate) trait OnGpu<const N: usize> {
    /// The output.
    ///
    /// # Errors
    /// When the GPU has no such function, no memory or another fault.
    fn forward_on_gpu<T: GpuFloat>(
        &self,
        _card: &Gpu,
        _inputs: [CudaView<'_, T>; N],
    ) -> Result<CudaStorage> {
        bail!("{} has no kernel on GPUs", std::any::type_name::<Self>())
    }

    /// The gradients with respect to the inputs. Those that are not `needed` may be left out.
    ///
    /// # Errors
    /// As [`OnGpu::forward_on_gpu`].
    fn backward_on_gpu<T: GpuFloat>(
        &self,
        _card: &Gpu,
        _inputs: [CudaView<'_, T>; N],
        _output: UntypedView<'_>,
        _gradient: UntypedView<'_>,
        _needed: [bool; N],
    ) -> Result<[Option<CudaSlice<T>>; N]> {
        bail!("{} has no kernel on GPUs", std::any::type_name::<Self>())
    }
}
