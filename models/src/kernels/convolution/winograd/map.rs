//! The convolution and the gradient with respect to its input, which is the convolution of the output's gradient with
//! the kernels turned around.

use super::kernels::Kernels;
use super::product::Product;
use super::tiling::{POINTS, Scratch, Tiling};
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::convolution::method::MapImages;
use crate::kernels::vector::{Kernel, SQUARE, Vector};

/// A map from images to images, prepared for one weight.
pub(crate) struct Map<T> {
    pub(super) tiling: Tiling,
    pub(super) kernels: Kernels<T>,
}

impl<T: Float> Map<T> {
    pub(crate) fn forward(geometry: &Geometry, weight: &[T]) -> Self {
        Self {
            tiling: Tiling::forward(geometry),
            kernels: Kernels::forward(geometry, weight),
        }
    }

    pub(crate) fn input_gradient(geometry: &Geometry, weight: &[T]) -> Self {
        Self {
            tiling: Tiling::input_gradient(geometry),
            kernels: Kernels::input_gradient(geometry, weight),
        }
    }

    /// The bias in whole vectors; zeros where there is none.
    pub(super) fn bias(&self, bias: Option<&[T]>) -> Vec<T> {
        let mut lanes = vec![T::zero(); self.tiling.written.lanes()];
        if let Some(bias) = bias {
            lanes[..bias.len()].copy_from_slice(bias);
        }
        lanes
    }
}

impl<T: Float> MapImages<T> for Map<T> {
    fn sizes(&self) -> [usize; 2] {
        [self.tiling.read.size(), self.tiling.written.size()]
    }

    fn group(&self) -> usize {
        self.tiling.images
    }

    fn scratch(&self) -> Vec<T> {
        vec![T::zero(); self.tiling.scratch_size()]
    }

    fn map_group(&self, inputs: &[T], bias: Option<&[T]>, scratch: &mut [T], outputs: &mut [T]) {
        T::dispatch(MapGroup {
            map: self,
            inputs,
            bias: &self.bias(bias),
            scratch,
            outputs,
        });
    }
}

/// The map of one group of images.
struct MapGroup<'a, T> {
    map: &'a Map<T>,
    inputs: &'a [T],
    bias: &'a [T],
    scratch: &'a mut [T],
    outputs: &'a mut [T],
}

impl<T: Float> Kernel<T> for MapGroup<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.map.tiling.fits(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let tiling = &self.map.tiling;
        let Scratch {
            frames,
            read,
            written,
            lines,
        } = tiling.scratch(self.scratch);
        let (from, to) = (tiling.read_layout(), tiling.written_layout());
        // SAFETY: the caller promises the instruction set.
        unsafe {
            tiling.fill::<T, V>(self.inputs, frames);
            for block in tiling.blocks(self.inputs.len() / tiling.read.size()) {
                tiling.transform_input::<T, V>(block, frames, from, read);
                for point in 0..POINTS {
                    let (kernels, kernel_row) = self.map.kernels.point(point);
                    Product {
                        depth: tiling.read.channels,
                        rows: (block.rows * tiling.columns).next_multiple_of(SQUARE),
                        columns: tiling.written.lanes(),
                        a: &read[point * from.point..],
                        a_row: from.tile,
                        a_depth: 1,
                        b: kernels,
                        b_row: kernel_row,
                        target: &mut written[point * to.point..],
                        add: false,
                    }
                    .run::<V>();
                }
                tiling.transform_output::<T, V>(block, written, to, self.bias, lines, self.outputs);
            }
        }
    }
}
