//! Direct convolution, one image at a time, for any kernel, stride, dilation and number of groups.
//!
//! An image is copied into a frame of zeros, whose columns are sorted by their phase, the column
//! modulo the stride. Then, for any stride and dilation, the pixels that a tap of the kernel needs
//! for neighbouring outputs are consecutive, and one vector load reads them.

mod correlation;
mod forward;
mod frame;
mod input_gradient;
mod weight_gradient;

pub(super) use forward::Forward;
pub(super) use input_gradient::InputGradient;
pub(super) use weight_gradient::WeightGradient;
