//! The gradient with respect to the input.

use super::correlation::{Correlation, Positions, pack};
use super::frame::{Frame, fill_frames};
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::convolution::method::MapImages;

/// The gradient with respect to the input, prepared for one weight. With a stride, a pixel meets
/// only some taps of the kernel: those of its phase, its row and column modulo the stride. For each
/// phase, the gradient is the correlation of the output's gradient with these taps.
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
}

impl<T: Float> MapImages<T> for InputGradient<T> {
    fn sizes(&self) -> [usize; 2] {
        [self.geometry.out_size(), self.geometry.in_size()]
    }

    fn group(&self) -> usize {
        1
    }

    fn scratch(&self) -> Vec<T> {
        self.frame.buffer(self.geometry.out_channels)
    }

    /// The gradient with respect to one input image, from that with respect to its output. It is linear, so there is no
    /// bias.
    fn map_group(&self, gradient: &[T], _bias: Option<&[T]>, scratch: &mut [T], result: &mut [T]) {
        let geometry = &self.geometry;
        fill_frames(&self.frame, geometry.out_plane(), gradient, scratch);
        let (inputs, outputs) = (geometry.group_inputs(), geometry.group_outputs());
        for phase in &self.phases {
            let weights = phase.weights.len() / geometry.groups;
            for group in 0..geometry.groups {
                T::dispatch(Correlation {
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
