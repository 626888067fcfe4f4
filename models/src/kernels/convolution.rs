//! Direct convolution, one image at a time.
//!
//! An image is copied into a frame of zeros whose columns are sorted by their phase modulo the
//! stride; then each tap of the kernel reads a vector of neighbouring outputs' pixels from
//! consecutive elements, whatever the stride and dilation. Frames fit the second-level cache, no
//! matrix of patches is ever written, and the order of every sum is fixed.

use super::Float;
use super::vector::{Kernel, Vector};

/// The sizes of a two-dimensional convolution with square kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) dilation: usize,
    pub(crate) groups: usize,
}

impl Geometry {
    /// The height of the output.
    pub(crate) fn out_height(&self) -> usize {
        self.outputs_over(self.height)
    }

    /// The width of the output.
    pub(crate) fn out_width(&self) -> usize {
        self.outputs_over(self.width)
    }

    fn outputs_over(&self, pixels: usize) -> usize {
        (pixels + 2 * self.padding - self.span()) / self.stride + 1
    }

    /// The pixels that a kernel covers along an axis.
    pub(crate) fn span(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// The elements of an input image.
    pub(crate) fn in_size(&self) -> usize {
        self.in_channels * self.in_plane()
    }

    /// The elements of an output image.
    pub(crate) fn out_size(&self) -> usize {
        self.out_channels * self.out_plane()
    }

    pub(crate) fn in_plane(&self) -> usize {
        self.height * self.width
    }

    pub(crate) fn out_plane(&self) -> usize {
        self.out_height() * self.out_width()
    }

    pub(crate) fn group_inputs(&self) -> usize {
        self.in_channels / self.groups
    }

    pub(crate) fn group_outputs(&self) -> usize {
        self.out_channels / self.groups
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    pub(crate) fn weight_size(&self) -> usize {
        self.out_channels * self.group_inputs() * self.taps()
    }
}

/// How many output channels and how many vectors of pixels the innermost loop computes at once: with
/// its factors they take fifteen of the sixteen registers of AVX2.
const CHANNELS: usize = 6;
const VECTORS: usize = 2;

/// The most lanes of any run of elements; buffers have room for one run beyond their end.
const SLACK: usize = 8;

/// The most runs of any vector type.
const RUNS: usize = 2;

/// A plane surrounded by zeros, with its columns sorted by phase.
#[derive(Debug, Clone, Copy)]
struct Frame {
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
    fn new(width: usize, before: usize, rows: usize, columns: usize) -> Self {
        Self {
            width,
            before,
            rows,
            columns,
            phases: 1,
        }
    }

    fn with_phases(self, phases: usize) -> Self {
        Self {
            columns: self.columns.div_ceil(phases),
            phases,
            ..self
        }
    }

    fn pitch(&self) -> usize {
        self.columns * self.phases
    }

    fn plane(&self) -> usize {
        self.rows * self.pitch()
    }

    /// A buffer of zeros for the frames of `channels` planes.
    fn buffer<T: Float>(&self, channels: usize) -> Vec<T> {
        vec![T::zero(); channels * self.plane() + SLACK]
    }

    /// The offset of a pixel, given by its row and column in the frame.
    fn offset(&self, row: usize, column: usize) -> usize {
        row * self.pitch() + (column % self.phases) * self.columns + column / self.phases
    }

    /// Copies a plane into its frame; what surrounds it is left alone.
    fn fill<T: Float>(&self, plane: &[T], frame: &mut [T]) {
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

/// The outputs of a correlation in runs of neighbours, as many as whole vectors need: where each reads in the frame, for a tap of offset 0,
/// and where it goes.
#[derive(Debug, Clone, Default)]
struct Positions {
    source: Vec<usize>,
    target: Vec<usize>,
    /// The outputs in each run, at most its lanes.
    valid: usize,
    /// The distance of neighbouring outputs in the target.
    step: usize,
}

impl Positions {
    /// Covers `rows` times `columns` outputs. Rows that are no multiple of the lanes end with a
    /// run that overlaps the one before, and the last run may come twice.
    fn new(
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

/// The convolution of images, prepared for one weight.
pub(crate) struct Forward<T> {
    geometry: Geometry,
    frame: Frame,
    taps: Vec<usize>,
    positions: Positions,
    /// Per group, then per block of [`CHANNELS`] outputs: `[input][tap][output]`.
    weights: Vec<T>,
}

impl<T: Float> Forward<T> {
    pub(crate) fn new(geometry: Geometry, weight: &[T]) -> Self {
        let frame = input_frame(&geometry);
        let (inputs, outputs, taps) = (
            geometry.group_inputs(),
            geometry.group_outputs(),
            geometry.taps(),
        );
        let mut weights = Vec::with_capacity(weight.len());
        for weight in weight.chunks_exact(outputs * inputs * taps) {
            pack(outputs, inputs, taps, &mut weights, |output, input, tap| {
                weight[(output * inputs + input) * taps + tap]
            });
        }
        let width = geometry.out_width();
        Self {
            geometry,
            frame,
            taps: input_taps(&geometry, &frame),
            positions: Positions::new(
                T::LANES,
                geometry.out_height(),
                width,
                1,
                |row, column| row * geometry.stride * frame.pitch() + column,
                |row, column| row * width + column,
            ),
            weights,
        }
    }

    /// Room for [`Forward::image`].
    pub(crate) fn scratch(&self) -> Vec<T> {
        self.frame.buffer(self.geometry.in_channels)
    }

    /// Convolves one image, adding `bias` where given.
    pub(crate) fn image(
        &self,
        input: &[T],
        bias: Option<&[T]>,
        scratch: &mut [T],
        output: &mut [T],
    ) {
        let geometry = &self.geometry;
        fill_frames(&self.frame, geometry.in_plane(), input, scratch);
        let (inputs, outputs) = (geometry.group_inputs(), geometry.group_outputs());
        let weights = self.weights.len() / geometry.groups;
        for group in 0..geometry.groups {
            correlate(Correlation {
                source: &scratch[group * inputs * self.frame.plane()..],
                source_plane: self.frame.plane(),
                channels: inputs,
                taps: &self.taps,
                weights: &self.weights[group * weights..][..weights],
                bias: bias.map(|bias| &bias[group * outputs..][..outputs]),
                positions: &self.positions,
                outputs,
                target_plane: geometry.out_plane(),
                target: &mut output[group * outputs * geometry.out_plane()..],
            });
        }
    }
}

/// The gradient with respect to the input, prepared for one weight: for each phase of the input's
/// pixels modulo the stride, the correlation of the output's gradient with the taps that meet it.
pub(crate) struct InputGradient<T> {
    geometry: Geometry,
    frame: Frame,
    phases: Vec<Phase<T>>,
}

struct Phase<T> {
    taps: Vec<usize>,
    positions: Positions,
    /// Per group, then per block of [`CHANNELS`] inputs: `[output][tap][input]`.
    weights: Vec<T>,
}

impl<T: Float> InputGradient<T> {
    pub(crate) fn new(geometry: Geometry, weight: &[T]) -> Self {
        let Geometry {
            stride, padding, ..
        } = geometry;
        // In padded coordinates, pixel q s + r receives output q - e through the taps k with
        // k d = e s + r.
        let reach = (geometry.span() - 1) / stride;
        let extent = |pixels: usize, outputs: usize| {
            ((pixels - 1 + padding) / stride).max(outputs - 1) + reach + 1
        };
        let (out_height, out_width) = (geometry.out_height(), geometry.out_width());
        let frame = Frame::new(
            out_width,
            reach,
            extent(geometry.height, out_height),
            extent(geometry.width, out_width),
        );
        let mut phases = Vec::new();
        for row in 0..stride {
            for column in 0..stride {
                phases.push(Phase::new(&geometry, &frame, reach, weight, [row, column]));
            }
        }
        Self {
            geometry,
            frame,
            phases,
        }
    }

    /// Room for [`InputGradient::image`].
    pub(crate) fn scratch(&self) -> Vec<T> {
        self.frame.buffer(self.geometry.out_channels)
    }

    /// The gradient with respect to one input image, from that with respect to its output.
    pub(crate) fn image(&self, gradient: &[T], scratch: &mut [T], result: &mut [T]) {
        let geometry = &self.geometry;
        fill_frames(&self.frame, geometry.out_plane(), gradient, scratch);
        let (inputs, outputs) = (geometry.group_inputs(), geometry.group_outputs());
        for phase in &self.phases {
            let weights = phase.weights.len() / geometry.groups;
            for group in 0..geometry.groups {
                correlate(Correlation {
                    source: &scratch[group * outputs * self.frame.plane()..],
                    source_plane: self.frame.plane(),
                    channels: outputs,
                    taps: &phase.taps,
                    weights: &phase.weights[group * weights..][..weights],
                    bias: None,
                    positions: &phase.positions,
                    outputs: inputs,
                    target_plane: geometry.in_plane(),
                    target: &mut result[group * inputs * geometry.in_plane()..],
                });
            }
        }
    }
}

impl<T: Float> Phase<T> {
    fn new(
        geometry: &Geometry,
        frame: &Frame,
        reach: usize,
        weight: &[T],
        [row_phase, column_phase]: [usize; 2],
    ) -> Self {
        let Geometry {
            kernel,
            stride,
            padding,
            dilation,
            ..
        } = *geometry;
        let meets = |phase: usize| {
            (0..kernel).filter(move |k| (k * dilation) % stride == phase && k * dilation >= phase)
        };
        let mut taps = Vec::new();
        let mut offsets = Vec::new();
        for row in meets(row_phase) {
            for column in meets(column_phase) {
                taps.push(row * kernel + column);
                let behind = |k: usize, phase: usize| reach - (k * dilation - phase) / stride;
                offsets.push(frame.offset(behind(row, row_phase), behind(column, column_phase)));
            }
        }
        let (inputs, outputs) = (geometry.group_inputs(), geometry.group_outputs());
        let all = geometry.taps();
        let mut weights = Vec::new();
        for weight in weight.chunks_exact(outputs * inputs * all) {
            pack(
                inputs,
                outputs,
                taps.len(),
                &mut weights,
                |input, output, tap| weight[(output * inputs + input) * all + taps[tap]],
            );
        }
        // The pixels q s + r - p of the image, as the range of q.
        let range = |pixels: usize, phase: usize| {
            let first = padding.saturating_sub(phase).div_ceil(stride);
            let end = (pixels + padding).saturating_sub(phase).div_ceil(stride);
            first..end.max(first)
        };
        let rows = range(geometry.height, row_phase);
        let columns = range(geometry.width, column_phase);
        let positions = Positions::new(
            T::LANES,
            rows.len(),
            columns.len(),
            stride,
            |row, column| (rows.start + row) * frame.pitch() + columns.start + column,
            |row, column| {
                let row = (rows.start + row) * stride + row_phase - padding;
                let column = (columns.start + column) * stride + column_phase - padding;
                row * geometry.width + column
            },
        );
        Self {
            taps: offsets,
            positions,
            weights,
        }
    }
}

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

    /// Room for [`WeightGradient::image`]: the input's frames, and the gradient as `[pixel][output]`.
    pub(crate) fn scratch<T: Float>(&self) -> (Vec<T>, Vec<T>) {
        let pixels = vec![T::zero(); self.geometry.out_plane() * self.width];
        (self.frame.buffer(self.geometry.in_channels), pixels)
    }

    /// Zeros to sum up in: `[group][input][tap][output]`.
    pub(crate) fn zeros<T: Float>(&self) -> Vec<T> {
        vec![T::zero(); self.geometry.groups * self.rows.len() * self.width]
    }

    /// Adds one image's part.
    pub(crate) fn image<T: Float>(
        &self,
        input: &[T],
        gradient: &[T],
        (frames, pixels): &mut (Vec<T>, Vec<T>),
        sum: &mut [T],
    ) {
        let geometry = &self.geometry;
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

    /// The sum in the layout of the weight, `[output][input][tap]`.
    pub(crate) fn unpack<T: Float>(&self, sum: &[T]) -> Vec<T> {
        let outputs = self.geometry.group_outputs();
        let mut weight = Vec::with_capacity(self.geometry.weight_size());
        for sum in sum.chunks_exact(self.rows.len() * self.width) {
            for output in 0..outputs {
                weight.extend((0..self.rows.len()).map(|row| sum[row * self.width + output]));
            }
        }
        weight
    }
}

fn input_frame(geometry: &Geometry) -> Frame {
    let padded = |pixels: usize| pixels + 2 * geometry.padding;
    let (height, width) = (geometry.height, geometry.width);
    Frame::new(width, geometry.padding, padded(height), padded(width)).with_phases(geometry.stride)
}

fn input_taps(geometry: &Geometry, frame: &Frame) -> Vec<usize> {
    let k = geometry.kernel;
    let offset = |tap| frame.offset(tap / k * geometry.dilation, tap % k * geometry.dilation);
    (0..k * k).map(offset).collect()
}

fn fill_frames<T: Float>(frame: &Frame, plane: usize, image: &[T], frames: &mut [T]) {
    let frames = frames.chunks_exact_mut(frame.plane());
    for (plane, target) in image.chunks_exact(plane).zip(frames) {
        frame.fill(plane, target);
    }
}

/// Appends weights in blocks of up to [`CHANNELS`] outputs, each block as `[input][tap][output]`.
fn pack<T>(
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

/// `target[o][p] = bias[o] + sum over c, t of weights[o][c][t] source[c][p + taps[t]]`.
struct Correlation<'a, T> {
    source: &'a [T],
    source_plane: usize,
    channels: usize,
    taps: &'a [usize],
    weights: &'a [T],
    bias: Option<&'a [T]>,
    positions: &'a Positions,
    outputs: usize,
    target_plane: usize,
    target: &'a mut [T],
}

fn correlate<T: Float>(correlation: Correlation<T>) {
    let c = &correlation;
    let furthest = |offsets: &[usize]| offsets.iter().max().copied().unwrap_or(0);
    let source_end = (c.channels - 1) * c.source_plane
        + furthest(&c.positions.source)
        + furthest(c.taps)
        + T::LANES;
    let target_end = (c.outputs - 1) * c.target_plane
        + furthest(&c.positions.target)
        + c.positions.valid.saturating_sub(1) * c.positions.step;
    assert!(
        c.source.len() >= source_end,
        "correlation: source too short"
    );
    assert!(
        c.target.len() > target_end || c.positions.target.is_empty(),
        "correlation: target too short"
    );
    assert_eq!(c.weights.len(), c.outputs * c.channels * c.taps.len());
    T::dispatch(correlation);
}

impl<T: Float> Kernel<T> for Correlation<'_, T> {
    fn fits(&self, _lanes: usize) -> bool {
        true
    }

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let mut this = self;
        let block_size = CHANNELS * this.channels * this.taps.len();
        for first in (0..this.outputs).step_by(CHANNELS) {
            let weights = &this.weights[first / CHANNELS * block_size..];
            match this.outputs - first {
                1 => this.channels_block::<V, 1>(weights, first),
                2 => this.channels_block::<V, 2>(weights, first),
                3 => this.channels_block::<V, 3>(weights, first),
                4 => this.channels_block::<V, 4>(weights, first),
                5 => this.channels_block::<V, 5>(weights, first),
                _ => this.channels_block::<V, CHANNELS>(weights, first),
            }
        }
    }
}

impl<T: Float> Correlation<'_, T> {
    #[inline(always)]
    fn channels_block<V: Vector<Element = T>, const C: usize>(
        &mut self,
        weights: &[T],
        first: usize,
    ) {
        let count = self.positions.source.len();
        let step = VECTORS * V::RUNS;
        let mut position = 0;
        while position + step <= count {
            self.tile::<V, C, VECTORS>(weights, first, position);
            position += step;
        }
        if position < count {
            self.tile::<V, C, 1>(weights, first, position);
        }
    }

    /// `C` channels of `P` vectors.
    #[inline(always)]
    fn tile<V: Vector<Element = T>, const C: usize, const P: usize>(
        &mut self,
        weights: &[T],
        first: usize,
        position: usize,
    ) {
        let sources = &self.positions.source[position..][..P * V::RUNS];
        let targets = &self.positions.target[position..][..P * V::RUNS];
        // SAFETY: `correlate` checked that all reads and writes stay inside the slices; `dispatch`
        // chose vectors that this CPU has.
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
    fn run<V: Vector<Element = T>>(self) {
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
                match (rows, vectors) {
                    (ROWS, 2) => this.tile::<V, ROWS, 2>(row, output),
                    (ROWS, _) => this.tile::<V, ROWS, 1>(row, output),
                    (rows, 2) => {
                        (row..row + rows).for_each(|row| this.tile::<V, 1, 2>(row, output))
                    }
                    (rows, _) => {
                        (row..row + rows).for_each(|row| this.tile::<V, 1, 1>(row, output))
                    }
                }
                row += rows;
            }
            output += vectors * V::LANES;
        }
    }
}

impl<T: Float> Outer<'_, T> {
    #[inline(always)]
    fn tile<V: Vector<Element = T>, const R: usize, const P: usize>(
        &mut self,
        row: usize,
        output: usize,
    ) {
        // SAFETY: `run` checked that all reads and writes stay inside the slices; `dispatch` chose
        // vectors that this CPU has.
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
