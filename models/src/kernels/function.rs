//! What a kernel is: a differentiable function of slices.

use candle_core::{DType, Shape, Tensor};

use super::Float;
#[cfg(feature = "cuda")]
use super::cuda::OnGpu;

/// What a function does on GPUs: nothing, in builds without them.
#[cfg(not(feature = "cuda"))]
pub(crate) trait OnGpu<const N: usize> {}
#[cfg(not(feature = "cuda"))]
impl<F, const N: usize> OnGpu<N> for F {}

/// A differentiable function of `N` tensors, given as flat slices in row-major order. It holds the
/// shapes; the caller that builds it must have checked that they fit the tensors.
pub(crate) trait Function<const N: usize>: OnGpu<N> + Send + Sync + 'static {
    /// The name that Candle's errors show.
    const NAME: &'static str;

    /// The shape of the output.
    fn shape(&self) -> Shape;

    /// The output.
    fn forward<T: Float>(&self, inputs: [&[T]; N]) -> Vec<T>;

    /// The gradients with respect to the inputs. Those that are not `needed` may be left out.
    fn backward<T: Float>(
        &self,
        inputs: [&[T]; N],
        output: &[T],
        gradient: &[T],
        needed: [bool; N],
    ) -> [Option<Vec<T>>; N];
}

/// Whether the kernels handle this tensor's device and dtype.
pub(crate) fn supported(tensor: &Tensor) -> bool {
    supported_on_cpu(tensor) || (cfg!(feature = "cuda") && is_on_gpu(tensor))
}

/// As [`supported`], for functions without kernels for GPUs.
pub(crate) fn supported_on_cpu(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && matches!(tensor.dtype(), DType::F32 | DType::F64)
}

/// As [`supported`], for convolutions.
pub(crate) fn convolution_supported(tensor: &Tensor) -> bool {
    supported_on_cpu(tensor) || (cfg!(feature = "cudnn") && is_on_gpu(tensor))
}

fn is_on_gpu(tensor: &Tensor) -> bool {
    let floats = [DType::F32, DType::F64, DType::F16, DType::BF16];
    tensor.device().is_cuda() && floats.contains(&tensor.dtype())
}
