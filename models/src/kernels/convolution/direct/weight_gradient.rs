//! The gradient with respect to the weight.

use super::frame::{Frame, SLACK, fill_frames, input_frame, input_taps};
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::convolution::method::SumImages;
use crate::kernels::vector::{Kernel, Vector};

/// The gradient with respect to the weight, summed over images.
pub(crate) struct WeightGradient {
    geometry: Geometry,
    frame: Frame,
    /// The offset of each tap of each input of a group.
    rows: Vec<usize>,
    /// Output channels of a group, rounded up to whole pairs of vectors.
    width: usize,
}

impl WeightGradient {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let frame = input_frame(&geometry);
        let taps = input_taps(&geometry, &frame);
        let rows = (0..geometry.group_inputs())
            .flat_map(|input| taps.iter().map(move |tap| input * frame.plane() + tap))
            .collect();
        Self {
            geometry,
            frame,
            rows,
            width: geometry.group_outputs().next_multiple_of(SLACK),
        }
    }
}

impl<T: Float> SumImages<T> for WeightGradient {
    fn sizes(&self) -> [usize; 2] {
        [self.geometry.in_size(), self.geometry.out_size()]
    }

    fn group(&self) -> usize {
        1
    }

    /// The input's frames, and the gradient as `[pixel][output]`.
    fn scratch(&self) -> Vec<T> {
        let pixels = self.geometry.out_plane() * self.width;
        vec![T::zero(); self.frame.size(self.geometry.in_channels) + pixels]
    }

    fn zeros(&self) -> Vec<T> {
        vec![T::zero(); self.geometry.groups * self.rows.len() * self.width]
    }

    /// Adds one image's part, in the layout `[group][input][tap][output]`.
    fn add_group(&self, input: &[T], gradient: &[T], scratch: &mut [T], sum: &mut [T]) {
        let geometry = &self.geometry;
        let (frames, pixels) = scratch.split_at_mut(self.frame.size(geometry.in_channels));
        fill_frames(&self.frame, geometry.in_plane(), input, frames);
        let outputs = geometry.group_outputs();
        let group_size = self.rows.len() * self.width;
        let gradients = gradient.chunks_exact(outputs * geometry.out_plane());
        let sums = sum.chunks_exact_mut(group_size);
        for (group, (gradient, sum)) in gradients.zip(sums).enumerate() {
            transpose(gradient, geometry.out_plane(), self.width, pixels);
            T::dispatch(Outer {
                source: &frames[group * geometry.group_inputs() * self.frame.plane()..],
                rows: &self.rows,
                pitch: geometry.stride * self.frame.pitch(),
                height: geometry.out_height(),
                width: geometry.out_width(),
                pixels,
                outputs: self.width,
                sum,
            });
        }
    }

    fn finish(&self, sum: Vec<T>) -> Vec<T> {
        sum
    }

    fn unpack(&self, total: &[T]) -> Vec<T> {
        let outputs = self.geometry.group_outputs();
        let mut weight = Vec::with_capacity(self.geometry.weight_size());
        for sum in total.chunks_exact(self.rows.len() * self.width) {
            for output in 0..outputs {
                weight.extend((0..self.rows.len()).map(|row| sum[row * self.width + output]));
            }
        }
        weight
    }
}

/// Writes `[channel][pixel]` as `[pixel][channel]` with rows of `width`.
fn transpose<T: Float>(planes: &[T], plane: usize, width: usize, pixels: &mut [T]) {
    const TILE: usize = 8;
    for (block, planes) in planes.chunks(TILE * plane).enumerate() {
        let lines: Vec<&[T]> = planes.chunks_exact(plane).collect();
        if let Ok(lines) = <[&[T]; TILE]>::try_from(lines.as_slice()) {
            let lines = lines.map(|line| &line[..plane]);
            for (pixel, row) in pixels.chunks_exact_mut(width).take(plane).enumerate() {
                let row = &mut row[block * TILE..][..TILE];
                for (value, line) in row.iter_mut().zip(&lines) {
                    *value = line[pixel];
                }
            }
        } else {
            for (channel, line) in lines.iter().enumerate() {
                for (row, value) in pixels.chunks_exact_mut(width).zip(*line) {
                    row[block * TILE + channel] = *value;
                }
            }
        }
    }
}

/// `sum[r][o] += sum over the pixels p of source[rows[r] + p] pixels[p][o]`.
struct Outer<'a, T> {
    source: &'a [T],
    rows: &'a [usize],
    pitch: usize,
    height: usize,
    width: usize,
    pixels: &'a [T],
    outputs: usize,
    sum: &'a mut [T],
}

/// Rows of [`Outer`]'s sum that its innermost loop computes at once, two vectors wide.
const ROWS: usize = 6;

impl<T: Float> Kernel<T> for Outer<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.outputs.is_multiple_of(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let mut this = self;
        let furthest = this.rows.iter().max().copied().unwrap_or(0)
            + (this.height - 1) * this.pitch
            + this.width;
        assert!(
            this.source.len() >= furthest,
            "convolution: frame too short"
        );
        assert!(this.pixels.len() >= this.height * this.width * this.outputs);
        assert!(this.sum.len() >= this.rows.len() * this.outputs);
        let mut output = 0;
        while output < this.outputs {
            let vectors = ((this.outputs - output) / V::LANES).min(2);
            let mut row = 0;
            while row < this.rows.len() {
                let rows = (this.rows.len() - row).min(ROWS);
                // SAFETY: the caller promises the instruction set; the slices were checked.
                unsafe {
                    match (rows, vectors) {
                        (ROWS, 2) => this.tile::<V, ROWS, 2>(row, output),
                        (ROWS, _) => this.tile::<V, ROWS, 1>(row, output),
                        (rows, 2) => {
                            (row..row + rows).for_each(|row| this.tile::<V, 1, 2>(row, output));
                        }
                        (rows, _) => {
                            (row..row + rows).for_each(|row| this.tile::<V, 1, 1>(row, output));
                        }
                    }
                }
                row += rows;
            }
            output += vectors * V::LANES;
        }
    }
}

impl<T: Float> Outer<'_, T> {
    /// `R` rows of `P` vectors.
    ///
    /// # Safety
    /// The CPU must have the instruction set of `V`, and the slices must hold what is summed up.
    #[inline(always)]
    unsafe fn tile<V: Vector<Element = T>, const R: usize, const P: usize>(
        &mut self,
        row: usize,
        output: usize,
    ) {
        // SAFETY: as promised by the caller.
        unsafe {
            let zero = V::splat(T::zero());
            let mut sums = [[zero; P]; R];
            let lines: [*const T; R] =
                std::array::from_fn(|r| self.source.as_ptr().add(self.rows[row + r]));
            let mut pixels = self.pixels.as_ptr().add(output);
            for y in 0..self.height {
                let start = y * self.pitch;
                for x in start..start + self.width {
                    let mut gradients = [zero; P];
                    for (p, gradient) in gradients.iter_mut().enumerate() {
                        *gradient = V::load(pixels.add(p * V::LANES));
                    }
                    for (sums, line) in sums.iter_mut().zip(&lines) {
                        let factor = V::splat(*line.add(x));
                        for (sum, gradient) in sums.iter_mut().zip(&gradients) {
                            *sum = sum.add_product(factor, *gradient);
                        }
                    }
                    pixels = pixels.add(self.outputs);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let target = self.sum.as_mut_ptr().add((row + r) * self.outputs + output);
                for (p, sum) in sums.iter().enumerate() {
                    let target = target.add(p * V::LANES);
                    V::load(target).add(*sum).store(target);
                }
            }
        }
    }
}
