//! Winograd's convolution F(2×2, 3×3): 16 products for the four outputs of a tile in place of 36.
//!
//! A tile is the 4×4 pixels that 2×2 outputs of a 3×3 kernel read. With the tile d, the kernel g and the gradient y of
//! the outputs, all per channel, and ⊙ for element by element (Lavin and Gray 2016, arXiv 1509.09308):
//!
//! ```text
//! outputs = A' ((G g G') ⊙ (B' d B)) A        gradient of g = G' ((A y A') ⊙ (B' d B)) G
//!
//!      1  0 -1  0          1   0   0
//! B' = 0  1  1  0     G = 1/2 1/2 1/2     A' = 1 1  1  0
//!      0 -1  1  0         1/2-1/2 1/2          0 1 -1 -1
//!      0  1  0 -1          0   0   1
//! ```
//!
//! Summed over channels (or tiles), ⊙ is a product of matrices at each of the 16 points of a tile. Everything has the
//! channels last, so that vectors run over channels, whatever the size of an image. Differences of pixels lose digits,
//! but the sums have a ninth of the terms: errors are about those of the direct method. An infinite pixel makes its
//! tiles' outputs NaN.

mod kernels;
mod map;
mod product;
mod tiling;
mod transform;
mod transpose;
mod weight_gradient;
mod wide;

use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::convolution::method::{MapImages, SumImages};
use map::Map;
use tiling::POINTS;
use weight_gradient::WeightGradient;
use wide::{WideMap, WideWeightGradient, is_wide};

/// The convolution with a weight.
pub(super) fn forward<T: Float>(geometry: &Geometry, weight: &[T]) -> Box<dyn MapImages<T>> {
    boxed(geometry, Map::forward(geometry, weight))
}

/// The gradient with respect to the input of the convolution with a weight.
pub(super) fn input_gradient<T: Float>(geometry: &Geometry, weight: &[T]) -> Box<dyn MapImages<T>> {
    boxed(geometry, Map::input_gradient(geometry, weight))
}

fn boxed<T: Float>(geometry: &Geometry, map: Map<T>) -> Box<dyn MapImages<T>> {
    if is_wide(geometry) {
        Box::new(WideMap(map))
    } else {
        Box::new(map)
    }
}

/// The gradient with respect to the weight.
pub(super) fn weight_gradient<T: Float>(geometry: &Geometry) -> Box<dyn SumImages<T>> {
    let gradient = WeightGradient::new(geometry);
    if is_wide(geometry) {
        Box::new(WideWeightGradient(gradient))
    } else {
        Box::new(gradient)
    }
}

/// Whether all images of a batch are best handed over at once.
pub(super) fn takes_all_images(geometry: &Geometry) -> bool {
    suits(geometry) && is_wide(geometry)
}

/// The fewest channels on each side: with fewer, the transforms cost more than the products save.
const CHANNELS: usize = 8;

/// Whether the method can be used, and saves a third of the products or more: small images of odd sizes waste much of
/// their last tiles.
pub(super) fn suits(geometry: &Geometry) -> bool {
    let Geometry {
        in_channels,
        out_channels,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        ..
    } = *geometry;
    if (kernel, stride, dilation, groups) != (3, 1, 1, 1) || padding > 2 {
        return false;
    }
    let cheap = |rows: usize, columns: usize| {
        let tiles = rows.div_ceil(2) * columns.div_ceil(2);
        3 * POINTS * tiles <= 2 * geometry.taps() * rows * columns
    };
    in_channels.min(out_channels) >= CHANNELS
        && cheap(geometry.out_height(), geometry.out_width())
        && cheap(geometry.height, geometry.width)
}
