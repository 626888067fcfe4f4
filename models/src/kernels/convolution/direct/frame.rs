//! Planes in frames of zeros, from which vectors of neighbours are read.

use crate::kernels::Float;
use crate::kernels::convolution::Geometry;

/// The most lanes of any run of elements. Frames have so many elements beyond their end, so that a
/// run may start at any of theirs.
pub(super) const SLACK: usize = 8;

/// The most runs of any vector type.
pub(super) const RUNS: usize = 2;

/// A plane surrounded by zeros, with its columns sorted by phase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Columns of the plane that is copied in.
    width: usize,
    /// Zeros above and to the left of it.
    before: usize,
    /// Rows of the frame.
    rows: usize,
    /// Columns of one phase, and the number of phases.
    columns: usize,
    phases: usize,
}

impl Frame {
    pub(super) fn new(width: usize, before: usize, rows: usize, columns: usize) -> Self {
        Self {
            width,
            before,
            rows,
            columns,
            phases: 1,
        }
    }

    pub(super) fn with_phases(self, phases: usize) -> Self {
        Self {
            columns: self.columns.div_ceil(phases),
            phases,
            ..self
        }
    }

    pub(super) fn pitch(&self) -> usize {
        self.columns * self.phases
    }

    pub(super) fn plane(&self) -> usize {
        self.rows * self.pitch()
    }

    /// The elements of a buffer for the frames of `channels` planes.
    pub(super) fn size(&self, channels: usize) -> usize {
        channels * self.plane() + SLACK
    }

    /// A buffer of zeros for the frames of `channels` planes.
    pub(super) fn buffer<T: Float>(&self, channels: usize) -> Vec<T> {
        vec![T::zero(); self.size(channels)]
    }

    /// The offset of a pixel, given by its row and column in the frame.
    pub(super) fn offset(&self, row: usize, column: usize) -> usize {
        row * self.pitch() + (column % self.phases) * self.columns + column / self.phases
    }

    /// Copies a plane into its frame; the zeros around it stay.
    pub(super) fn fill<T: Float>(&self, plane: &[T], frame: &mut [T]) {
        for (row, pixels) in plane.chunks_exact(self.width).enumerate() {
            let line = &mut frame[(row + self.before) * self.pitch()..][..self.pitch()];
            if self.phases == 1 {
                line[self.before..][..self.width].copy_from_slice(pixels);
                continue;
            }
            for phase in 0..self.phases {
                // The first pixel of this phase, and its place in the frame.
                let first = (phase + self.phases - self.before % self.phases) % self.phases;
                let start = phase * self.columns + (first + self.before) / self.phases;
                let pixels = pixels.iter().skip(first).step_by(self.phases);
                for (target, pixel) in line[start..].iter_mut().zip(pixels) {
                    *target = *pixel;
                }
            }
        }
    }
}

pub(super) fn input_frame(geometry: &Geometry) -> Frame {
    let padded = |pixels: usize| pixels + 2 * geometry.padding;
    let (height, width) = (geometry.height, geometry.width);
    Frame::new(width, geometry.padding, padded(height), padded(width)).with_phases(geometry.stride)
}

pub(super) fn input_taps(geometry: &Geometry, frame: &Frame) -> Vec<usize> {
    let k = geometry.kernel;
    let offset = |tap| frame.offset(tap / k * geometry.dilation, tap % k * geometry.dilation);
    (0..k * k).map(offset).collect()
}

pub(super) fn fill_frames<T: Float>(frame: &Frame, plane: usize, image: &[T], frames: &mut [T]) {
    let frames = frames.chunks_exact_mut(frame.plane());
    for (plane, target) in image.chunks_exact(plane).zip(frames) {
        frame.fill(plane, target);
    }
}
