//! The kernels on NVIDIA GPUs: `kernels.cu`, compiled by the build script and loaded when first
//! used.

mod device;
pub(super) mod lbfgs;
pub(super) mod update;
