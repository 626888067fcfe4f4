//! The sizes of a convolution.

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
