//! The gradient with respect to the weight.

use super::kernels;
use super::product::Product;
use super::tiling::{POINTS, Scratch, Tiling};
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::convolution::method::SumImages;
use crate::kernels::vector::{Kernel, Vector};

/// The gradient with respect to the weight, summed over images at the points of their tiles: only the sum is turned into
/// kernels.
pub(crate) struct WeightGradient {
    pub(super) tiling: Tiling,
}

impl WeightGradient {
    pub(crate) fn new(geometry: &Geometry) -> Self {
        Self {
            tiling: Tiling::forward(geometry),
        }
    }

    /// Elements of the sum at one point: `[input][output]`.
    pub(super) fn point(&self) -> usize {
        self.tiling.read.lanes() * self.tiling.written.lanes()
    }
}

impl<T: Float> SumImages<T> for WeightGradient {
    fn sizes(&self) -> [usize; 2] {
        [self.tiling.read.size(), self.tiling.written.size()]
    }

    fn group(&self) -> usize {
        self.tiling.images
    }

    fn scratch(&self) -> Vec<T> {
        vec![T::zero(); self.tiling.scratch_size()]
    }

    fn zeros(&self) -> Vec<T> {
        vec![T::zero(); POINTS * self.point()]
    }

    fn add_group(&self, inputs: &[T], gradients: &[T], scratch: &mut [T], sum: &mut [T]) {
        T::dispatch(SumGroup {
            tiling: &self.tiling,
            inputs,
            gradients,
            scratch,
            sum,
        });
    }

    fn finish(&self, sum: Vec<T>) -> Vec<T> {
        kernels::gradients(self.tiling.read.channels, self.tiling.written.lanes(), &sum)
    }

    fn unpack(&self, total: &[T]) -> Vec<T> {
        let outputs = &self.tiling.written;
        kernels::to_weight(outputs.channels, outputs.lanes(), total)
    }
}

/// The parts of one group of images.
struct SumGroup<'a, T> {
    tiling: &'a Tiling,
    inputs: &'a [T],
    gradients: &'a [T],
    scratch: &'a mut [T],
    sum: &'a mut [T],
}

impl<T: Float> Kernel<T> for SumGroup<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.tiling.fits(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let tiling = self.tiling;
        let Scratch {
            frames,
            read,
            written,
            lines,
        } = tiling.scratch(self.scratch);
        let (from, to) = (tiling.read_layout(), tiling.written_layout());
        let (inputs, outputs) = (tiling.read.lanes(), tiling.written.lanes());
        // SAFETY: the caller promises the instruction set.
        unsafe {
            tiling.fill::<T, V>(self.inputs, frames);
            for block in tiling.blocks(self.inputs.len() / tiling.read.size()) {
                tiling.transform_input::<T, V>(block, frames, from, read);
                tiling.transform_gradient::<T, V>(block, self.gradients, lines, to, written);
                let sums = self.sum.chunks_exact_mut(inputs * outputs);
                for (point, sum) in sums.enumerate() {
                    Product {
                        depth: block.rows * tiling.columns,
                        rows: inputs,
                        columns: outputs,
                        a: &read[point * from.point..],
                        a_row: 1,
                        a_depth: from.tile,
                        b: &written[point * to.point..],
                        b_row: to.tile,
                        target: sum,
                        add: true,
                    }
                    .run::<V>();
                }
            }
        }
    }
}
