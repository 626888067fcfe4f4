//! The convolution itself.

use super::correlation::{Correlation, Positions, pack};
use super::frame::{Frame, fill_frames, input_frame, input_taps};
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::convolution::method::MapImages;

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
}

impl<T: Float> MapImages<T> for Forward<T> {
    fn sizes(&self) -> [usize; 2] {
        [self.geometry.in_size(), self.geometry.out_size()]
    }

    fn group(&self) -> usize {
        1
    }

    fn scratch(&self) -> Vec<T> {
        self.frame.buffer(self.geometry.in_channels)
    }

    /// Convolves one image.
    fn map_group(&self, input: &[T], bias: Option<&[T]>, scratch: &mut [T], output: &mut [T]) {
        let geometry = &self.geometry;
        fill_frames(&self.frame, geometry.in_plane(), input, scratch);
        let (inputs, outputs) = (geometry.group_inputs(), geometry.group_outputs());
        let weights = self.weights.len() / geometry.groups;
        for group in 0..geometry.groups {
            T::dispatch(Correlation {
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
