//! The method for many channels, where the kernels of a weight are larger than what they are multiplied with.
//!
//! With a task for a few images each, as in the other files, every task would read all kernels and, for the gradient with
//! respect to the weight, write as many sums. Here all images come at once, and the products at the 16 points, each with
//! kernels or sums of its own, are shared out among threads.

use rayon::prelude::*;

use super::map::Map;
use super::product::Product;
use super::tiling::{Layout, POINTS, Tiling};
use super::weight_gradient::WeightGradient;
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::convolution::method::{MapImages, SumImages};
use crate::kernels::parallel::from_pieces;
use crate::kernels::vector::{Kernel, Vector};

/// Elements of transformed tiles, of both sides, that are in memory at a time.
const ELEMENTS: usize = 1 << 21;

/// The fewest products of channels for which the method pays: kernels at the points of a megabyte in f32.
const KERNELS: usize = 1 << 14;

/// Whether a geometry that tiles serve has enough channels.
pub(super) fn is_wide(geometry: &Geometry) -> bool {
    geometry.in_channels * geometry.out_channels >= KERNELS
}

/// How many images are worked on at a time.
fn images_at_once(tiling: &Tiling) -> usize {
    let tiles = tiling.rows * tiling.columns;
    (ELEMENTS / (POINTS * tiles * (tiling.read.lanes() + tiling.written.lanes()))).max(1)
}

/// The transformed tiles of images, as `[tile][point][channel]`.
fn read<T: Float>(tiling: &Tiling, images: &[T]) -> (Vec<T>, Layout) {
    let layout = Layout::by_tiles(tiling.read.lanes());
    let size = tiling.read.size();
    let work = |image: usize, points: &mut [T]| {
        T::dispatch(ReadImage {
            tiling,
            image: &images[image * size..][..size],
            frame: &mut vec![T::zero(); tiling.frame()],
            layout,
            points,
        });
    };
    let piece = tiling.rows * tiling.columns * layout.tile;
    (
        from_pieces(images.len() / size * piece, piece, work).0,
        layout,
    )
}

/// [`Map`] of many channels.
pub(crate) struct WideMap<T>(pub(super) Map<T>);

impl<T: Float> MapImages<T> for WideMap<T> {
    fn sizes(&self) -> [usize; 2] {
        self.0.sizes()
    }

    fn group(&self) -> usize {
        images_at_once(&self.0.tiling)
    }

    fn scratch(&self) -> Vec<T> {
        Vec::new()
    }

    fn map_group(&self, inputs: &[T], bias: Option<&[T]>, _scratch: &mut [T], outputs: &mut [T]) {
        let bias = self.0.bias(bias);
        let Map { tiling, kernels } = &self.0;
        let size = tiling.written.size();
        let image_tiles = tiling.rows * tiling.columns;
        let tiles = outputs.len() / size * image_tiles;
        let (read, from) = read(tiling, inputs);
        let to = Layout::by_points(tiles, tiling.written.lanes());
        let product = |point: usize, target: &mut [T]| {
            let (kernels, kernel_row) = kernels.point(point);
            T::dispatch(Product {
                depth: tiling.read.channels,
                rows: tiles,
                columns: tiling.written.lanes(),
                a: &read[point * from.point..],
                a_row: from.tile,
                a_depth: 1,
                b: kernels,
                b_row: kernel_row,
                target,
                add: false,
            });
        };
        let (written, _) = from_pieces(POINTS * to.point, to.point, product);
        let images = outputs.par_chunks_exact_mut(size).enumerate();
        images.for_each(|(image, output)| {
            T::dispatch(WriteImage {
                tiling,
                points: &written[image * image_tiles * to.tile..],
                layout: to,
                bias: &bias,
                lines: &mut vec![T::zero(); 2 * tiling.rows * tiling.line()],
                output,
            });
        });
    }
}

/// [`WeightGradient`] of many channels.
pub(crate) struct WideWeightGradient(pub(super) WeightGradient);

impl<T: Float> SumImages<T> for WideWeightGradient {
    fn sizes(&self) -> [usize; 2] {
        SumImages::<T>::sizes(&self.0)
    }

    fn group(&self) -> usize {
        images_at_once(&self.0.tiling)
    }

    fn scratch(&self) -> Vec<T> {
        Vec::new()
    }

    fn zeros(&self) -> Vec<T> {
        from_pieces(POINTS * self.0.point(), self.0.point(), |_, _| ()).0
    }

    fn add_group(&self, inputs: &[T], gradients: &[T], _scratch: &mut [T], sum: &mut [T]) {
        let tiling = &self.0.tiling;
        let (read, from) = read(tiling, inputs);
        let to = Layout::by_tiles(tiling.written.lanes());
        let size = tiling.written.size();
        let transform = |image: usize, points: &mut [T]| {
            T::dispatch(ReadGradient {
                tiling,
                gradient: &gradients[image * size..][..size],
                lines: &mut vec![T::zero(); 2 * tiling.rows * tiling.line()],
                layout: to,
                points,
            });
        };
        let tiles = gradients.len() / size * tiling.rows * tiling.columns;
        let piece = tiling.rows * tiling.columns * to.tile;
        let (written, _) = from_pieces(tiles * to.tile, piece, transform);
        let points = sum.par_chunks_exact_mut(self.0.point()).enumerate();
        points.for_each(|(point, target)| {
            T::dispatch(Product {
                depth: tiles,
                rows: tiling.read.lanes(),
                columns: tiling.written.lanes(),
                a: &read[point * from.point..],
                a_row: 1,
                a_depth: from.tile,
                b: &written[point * to.point..],
                b_row: to.tile,
                target,
                add: true,
            });
        });
    }

    fn finish(&self, sum: Vec<T>) -> Vec<T> {
        self.0.finish(sum)
    }

    fn unpack(&self, total: &[T]) -> Vec<T> {
        self.0.unpack(total)
    }
}

/// Transforms the tiles of an image.
struct ReadImage<'a, T> {
    tiling: &'a Tiling,
    image: &'a [T],
    frame: &'a mut [T],
    layout: Layout,
    points: &'a mut [T],
}

impl<T: Float> Kernel<T> for ReadImage<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.tiling.fits(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        // SAFETY: the caller promises the instruction set.
        unsafe {
            self.tiling.fill::<T, V>(self.image, self.frame);
            let block = self.tiling.whole();
            self.tiling
                .transform_input::<T, V>(block, self.frame, self.layout, self.points);
        }
    }
}

/// Transforms the gradient with respect to an output image.
struct ReadGradient<'a, T> {
    tiling: &'a Tiling,
    gradient: &'a [T],
    lines: &'a mut [T],
    layout: Layout,
    points: &'a mut [T],
}

impl<T: Float> Kernel<T> for ReadGradient<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.tiling.fits(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let block = self.tiling.whole();
        // SAFETY: the caller promises the instruction set.
        unsafe {
            self.tiling.transform_gradient::<T, V>(
                block,
                self.gradient,
                self.lines,
                self.layout,
                self.points,
            );
        }
    }
}

/// Makes an output image of its transformed tiles.
struct WriteImage<'a, T> {
    tiling: &'a Tiling,
    points: &'a [T],
    layout: Layout,
    bias: &'a [T],
    lines: &'a mut [T],
    output: &'a mut [T],
}

impl<T: Float> Kernel<T> for WriteImage<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.tiling.fits(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let block = self.tiling.whole();
        // SAFETY: the caller promises the instruction set.
        unsafe {
            self.tiling.transform_output::<T, V>(
                block,
                self.points,
                self.layout,
                self.bias,
                self.lines,
                self.output,
            );
        }
    }
}
