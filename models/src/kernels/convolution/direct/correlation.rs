//! The innermost loops of a convolution and of its gradient with respect to the input.

use super::frame::{RUNS, SLACK};
use crate::kernels::Float;
use crate::kernels::vector::{Kernel, Vector};

/// How many output channels, and how many vectors of pixels of each, the innermost loop computes at
/// once. The 12 sums, 2 vectors of pixels and 1 factor take 15 of the 16 registers of AVX2.
const CHANNELS: usize = 6;
const VECTORS: usize = 2;

/// The outputs of a correlation in runs of neighbours, padded to whole vectors: where each run
/// reads in the frame, for a tap of offset 0, and where it writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    source: Vec<usize>,
    target: Vec<usize>,
    /// The outputs in each run; its other lanes are not written.
    valid: usize,
    /// The distance of neighbouring outputs in the target.
    step: usize,
}

impl Positions {
    /// Covers `rows` times `columns` outputs. Where the columns are not a multiple of the lanes,
    /// the last run of a row overlaps the one before. The very last run may come twice.
    pub(super) fn new(
        lanes: usize,
        rows: usize,
        columns: usize,
        step: usize,
        source: impl Fn(usize, usize) -> usize,
        target: impl Fn(usize, usize) -> usize,
    ) -> Self {
        let mut positions = Self {
            valid: lanes.min(columns),
            step,
            ..Self::default()
        };
        for row in 0..rows {
            let mut column = 0;
            while column < columns {
                let start = column.min(columns - positions.valid);
                positions.source.push(source(row, start));
                positions.target.push(target(row, start));
                column += lanes;
            }
        }
        while !positions.source.len().is_multiple_of(RUNS) {
            positions.source.extend(positions.source.last().copied());
            positions.target.extend(positions.target.last().copied());
        }
        positions
    }
}

/// Appends weights in blocks of up to [`CHANNELS`] outputs, each block as `[input][tap][output]`.
pub(super) fn pack<T>(
    outputs: usize,
    inputs: usize,
    taps: usize,
    packed: &mut Vec<T>,
    weight: impl Fn(usize, usize, usize) -> T,
) {
    for first in (0..outputs).step_by(CHANNELS) {
        for input in 0..inputs {
            for tap in 0..taps {
                let block = first..(first + CHANNELS).min(outputs);
                packed.extend(block.map(|output| weight(output, input, tap)));
            }
        }
    }
}

/// `target[o][p] = bias[o] + sum over c, t of weights[o][c][t] source[c][p + taps[t]]`.
pub(super) struct Correlation<'a, T> {
    pub(super) source: &'a [T],
    pub(super) source_plane: usize,
    pub(super) channels: usize,
    pub(super) taps: &'a [usize],
    pub(super) weights: &'a [T],
    pub(super) bias: Option<&'a [T]>,
    pub(super) positions: &'a Positions,
    pub(super) outputs: usize,
    pub(super) target_plane: usize,
    pub(super) target: &'a mut [T],
}

impl<T: Float> Correlation<'_, T> {
    /// Fails unless all reads and writes stay inside the slices.
    fn check(&self) {
        let furthest = |offsets: &[usize]| offsets.iter().max().copied().unwrap_or(0);
        let source_end = (self.channels - 1) * self.source_plane
            + furthest(&self.positions.source)
            + furthest(self.taps)
            + T::LANES;
        let target_end = (self.outputs - 1) * self.target_plane
            + furthest(&self.positions.target)
            + self.positions.valid.saturating_sub(1) * self.positions.step;
        assert!(
            self.source.len() >= source_end,
            "correlation: source too short"
        );
        assert!(
            self.target.len() > target_end || self.positions.target.is_empty(),
            "correlation: target too short"
        );
        let weights = self.outputs * self.channels * self.taps.len();
        assert_eq!(self.weights.len(), weights, "correlation: weights");
        let runs = self.positions.source.len();
        assert_eq!(self.positions.target.len(), runs, "correlation: runs");
        assert!(runs.is_multiple_of(RUNS), "correlation: runs");
    }
}

impl<T: Float> Kernel<T> for Correlation<'_, T> {
    fn fits(&self, _lanes: usize) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        self.check();
        let mut this = self;
        let block_size = CHANNELS * this.channels * this.taps.len();
        for first in (0..this.outputs).step_by(CHANNELS) {
            let weights = &this.weights[first / CHANNELS * block_size..];
            // SAFETY: the caller promises the instruction set; the slices were checked.
            unsafe {
                match this.outputs - first {
                    1 => this.block::<V, 1>(weights, first),
                    2 => this.block::<V, 2>(weights, first),
                    3 => this.block::<V, 3>(weights, first),
                    4 => this.block::<V, 4>(weights, first),
                    5 => this.block::<V, 5>(weights, first),
                    _ => this.block::<V, CHANNELS>(weights, first),
                }
            }
        }
    }
}

impl<T: Float> Correlation<'_, T> {
    /// All positions of `C` outputs.
    ///
    /// # Safety
    /// The CPU must have the instruction set of `V`, and the slices must have passed
    /// [`Self::check`].
    #[inline(always)]
    unsafe fn block<V: Vector<Element = T>, const C: usize>(
        &mut self,
        weights: &[T],
        first: usize,
    ) {
        let count = self.positions.source.len();
        let step = VECTORS * V::RUNS;
        let mut position = 0;
        while position + step <= count {
            // SAFETY: as promised by the caller.
            unsafe { self.tile::<V, C, VECTORS>(weights, first, position) };
            position += step;
        }
        if position < count {
            // SAFETY: as promised by the caller.
            unsafe { self.tile::<V, C, 1>(weights, first, position) };
        }
    }

    /// `C` outputs at `P` vectors of positions.
    ///
    /// # Safety
    /// As for [`Self::block`].
    #[inline(always)]
    unsafe fn tile<V: Vector<Element = T>, const C: usize, const P: usize>(
        &mut self,
        weights: &[T],
        first: usize,
        position: usize,
    ) {
        let sources = &self.positions.source[position..][..P * V::RUNS];
        let targets = &self.positions.target[position..][..P * V::RUNS];
        // SAFETY: all reads and writes stay inside the slices, which were checked; the CPU has the
        // instruction set.
        unsafe {
            let zero = V::splat(T::zero());
            let mut sums = [[zero; P]; C];
            if let Some(bias) = self.bias {
                for (sums, bias) in sums.iter_mut().zip(&bias[first..]) {
                    *sums = [V::splat(*bias); P];
                }
            }
            let mut plane = self.source.as_ptr();
            let mut weight = weights.as_ptr();
            for _ in 0..self.channels {
                for tap in self.taps {
                    let source = plane.add(*tap);
                    let mut pixels = [zero; P];
                    for (p, pixels) in pixels.iter_mut().enumerate() {
                        *pixels = V::load_runs(source, sources.as_ptr().add(p * V::RUNS));
                    }
                    for (c, sums) in sums.iter_mut().enumerate() {
                        let factor = V::splat(*weight.add(c));
                        for (sum, pixels) in sums.iter_mut().zip(&pixels) {
                            *sum = sum.add_product(factor, *pixels);
                        }
                    }
                    weight = weight.add(C);
                }
                plane = plane.add(self.source_plane);
            }
            let target = self.target.as_mut_ptr().add(first * self.target_plane);
            let Positions { valid, step, .. } = *self.positions;
            if step == 1 && valid == T::LANES {
                for (c, sums) in sums.iter().enumerate() {
                    for (p, sum) in sums.iter().enumerate() {
                        let offsets = targets.as_ptr().add(p * V::RUNS);
                        sum.store_runs(target.add(c * self.target_plane), offsets);
                    }
                }
                return;
            }
            let mut values = [[[T::zero(); SLACK * RUNS]; P]; C];
            for (values, sums) in values.iter_mut().zip(&sums) {
                for (values, sum) in values.iter_mut().zip(sums) {
                    sum.store(values.as_mut_ptr());
                }
            }
            for (c, values) in values.iter().enumerate() {
                let runs = values
                    .iter()
                    .flat_map(|v| v[..V::LANES].chunks_exact(T::LANES));
                for (values, offset) in runs.zip(targets) {
                    let target = target.add(c * self.target_plane + offset);
                    for (i, value) in values[..valid].iter().enumerate() {
                        *target.add(i * step) = *value;
                    }
                }
            }
        }
    }
}
