//! Convolution of images, by the method that is the fastest for its sizes.
//!
//! No matrix of patches (im2col) is written, what a group of images needs fits the second-level cache, and the order of
//! every sum depends on the sizes alone.

mod direct;
mod geometry;
mod method;
mod winograd;

use super::Float;
use super::parallel;
pub(crate) use geometry::Geometry;
use method::{MapImages, SumImages};

/// How many images of a batch one task covers, where tasks run at the same time.
pub(super) fn images_per_task(geometry: &Geometry) -> usize {
    if winograd::takes_all_images(geometry) {
        geometry.batch
    } else {
        parallel::images_per_task(geometry.batch)
    }
}

/// The convolution with a weight.
pub(super) fn forward<T: Float>(geometry: Geometry, weight: &[T]) -> Box<dyn MapImages<T>> {
    if winograd::suits(&geometry) {
        winograd::forward(&geometry, weight)
    } else {
        Box::new(direct::Forward::new(geometry, weight))
    }
}

/// The gradient with respect to the input of the convolution with a weight.
pub(super) fn input_gradient<T: Float>(geometry: Geometry, weight: &[T]) -> Box<dyn MapImages<T>> {
    if winograd::suits(&geometry) {
        winograd::input_gradient(&geometry, weight)
    } else {
        Box::new(direct::InputGradient::new(geometry, weight))
    }
}

/// The gradient with respect to the weight.
pub(super) fn weight_gradient<T: Float>(geometry: Geometry) -> Box<dyn SumImages<T>> {
    if winograd::suits(&geometry) {
        winograd::weight_gradient(&geometry)
    } else {
        Box::new(direct::WeightGradient::new(geometry))
    }
}
