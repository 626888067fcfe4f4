//! Direct convolution, one image at a time.
//!
//! An image is copied into a frame of zeros, whose columns are sorted by their phase, the column
//! modulo the stride. Then, for any stride and dilation, the pixels that a tap of the kernel needs
//! for neighbouring outputs are consecutive, and one vector load reads them. A frame fits the
//! second-level cache, no matrix of patches (im2col) is written, and the order of every sum is
//! fixed.

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
