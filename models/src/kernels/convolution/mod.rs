//! Direct convolution, one image at a time.
//!
//! An image is copied into a frame of zeros whose columns are sorted by their phase modulo the
//! stride; then each tap of the kernel reads a vector of neighbouring outputs' pixels from
//! consecutive elements, whatever the stride and dilation. Frames fit the second-level cache, no
//! matrix of patches is ever written, and the order of every sum is fixed.

mod correlation;
mod forward;
mod frame;
mod geometry;
mod input_gradient;
mod weight_gradient;

pub(super) use forward::Forward;
pub(crate) use geometry::Geometry;
pub(super) use input_gradient::InputGradient;
pub(super) use weight_gradient::WeightGradient;
