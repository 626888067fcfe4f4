//! The kernels on NVIDIA GPUs: those in `kernels.cu`, which the build script compiles and the first
//! use loads, and the matrix products and convolutions of cuBLAS and cuDNN.
//!
//! All work is queued on the device's one stream, where Candle queues its own, so that it runs in
//! the order of the calls. Half-precision elements are computed with and summed up in f32.

mod activation;
mod attention;
mod batch_norm;
mod conv_norm;
mod convolution;
mod cross_entropy;
#[cfg(feature = "cudnn")]
mod cudnn;
mod device;
mod embedding;
mod function;
mod layer_norm;
mod linear;
mod matmul;
mod node;
mod pool;
mod unsupported;

use device::{Gpu, GpuFloat, THREADS, UntypedView, grid, launch, size};

pub(super) use function::OnGpu;
pub(super) use node::{backward, forward};
