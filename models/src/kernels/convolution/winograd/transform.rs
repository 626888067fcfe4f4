//! The transforms of tiles, kernels and gradients.

use super::tiling::{Block, Images, Layout, POINTS, Tiling};
use super::transpose::Matrix;
use crate::kernels::Float;
use crate::kernels::vector::Vector;

/// `B' x` of four values.
///
/// # Safety
/// The CPU must have the instruction set of `V`; so for the next two.
#[inline(always)]
unsafe fn to_points<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    // SAFETY: as promised by the caller.
    unsafe { [a.subtract(c), b.add(c), c.subtract(b), b.subtract(d)] }
}

/// `A' x` of four values.
#[inline(always)]
unsafe fn to_outputs<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 2] {
    // SAFETY: as promised by the caller.
    unsafe { [a.add(b).add(c), b.subtract(c).subtract(d)] }
}

/// `A x` of two values.
#[inline(always)]
unsafe fn from_outputs<V: Vector>([a, b]: [V; 2]) -> [V; 4] {
    // SAFETY: as promised by the caller.
    unsafe {
        let zero = a.subtract(a);
        [a, a.add(b), a.subtract(b), zero.subtract(b)]
    }
}

impl Tiling {
    /// The tiles of a block at the points, `B' d B`, from the frames.
    ///
    /// # Safety
    /// The CPU must have the instruction set of `V`, whose lanes divide the channels.
    #[inline(always)]
    pub(super) unsafe fn transform_input<T: Float, V: Vector<Element = T>>(
        &self,
        block: Block,
        frames: &[T],
        layout: Layout,
        points: &mut [T],
    ) {
        let lanes = self.read.lanes();
        for row in 0..block.rows {
            let (image, image_row) = self.row(block.first + row);
            for column in 0..self.columns {
                let start =
                    image * self.frame() + 2 * image_row * self.pitch() + 2 * column * lanes;
                let source = &frames[start..start + 3 * self.pitch() + 4 * lanes];
                let target = &mut points[(row * self.columns + column) * layout.tile..];
                assert!(target.len() >= (POINTS - 1) * layout.point + lanes);
                for channel in (0..lanes).step_by(V::LANES) {
                    // SAFETY: the slices hold the tile and its points; the caller promises the instruction set.
                    unsafe {
                        let source = source.as_ptr().add(channel);
                        let pixel =
                            |i: usize, j: usize| V::load(source.add(i * self.pitch() + j * lanes));
                        let columns: [[V; 4]; 4] = std::array::from_fn(|j| {
                            to_points(std::array::from_fn(|i| pixel(i, j)))
                        });
                        let target = target.as_mut_ptr().add(channel);
                        for i in 0..4 {
                            let row = to_points(columns.map(|column| column[i]));
                            for (j, value) in row.into_iter().enumerate() {
                                value.store(target.add((4 * i + j) * layout.point));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The gradient of a block's outputs at the points, `A y A'`.
    ///
    /// # Safety
    /// As for [`Self::transform_input`].
    #[inline(always)]
    pub(super) unsafe fn transform_gradient<T: Float, V: Vector<Element = T>>(
        &self,
        block: Block,
        gradients: &[T],
        lines: &mut [T],
        layout: Layout,
        points: &mut [T],
    ) {
        let lanes = self.written.lanes();
        let Images {
            channels, width, ..
        } = self.written;
        for row in 0..block.rows {
            for (i, line) in self.lines(row, lines).into_iter().enumerate() {
                match self.place(block, row, i) {
                    Some(start) => {
                        let source =
                            Matrix::new(&gradients[start..], self.written.plane(), channels, width);
                        // SAFETY: as promised by the caller.
                        unsafe { source.transpose::<V>(line, lanes) };
                    }
                    None => line.fill(T::zero()),
                }
            }
            let line = self.line();
            for column in 0..self.columns {
                let start = 2 * row * line + 2 * column * lanes;
                let source = &lines[start..start + line + 2 * lanes];
                let target = &mut points[(row * self.columns + column) * layout.tile..];
                assert!(target.len() >= (POINTS - 1) * layout.point + lanes);
                for channel in (0..lanes).step_by(V::LANES) {
                    // SAFETY: as in `transform_input`.
                    unsafe {
                        let source = source.as_ptr().add(channel);
                        let pixel = |i: usize, j: usize| V::load(source.add(i * line + j * lanes));
                        let columns: [[V; 4]; 2] =
                            std::array::from_fn(|j| from_outputs([pixel(0, j), pixel(1, j)]));
                        let target = target.as_mut_ptr().add(channel);
                        for i in 0..4 {
                            let row = from_outputs(columns.map(|column| column[i]));
                            for (j, value) in row.into_iter().enumerate() {
                                value.store(target.add((4 * i + j) * layout.point));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The outputs of a block, `A' m A` and the bias, from the points.
    ///
    /// # Safety
    /// As for [`Self::transform_input`].
    #[inline(always)]
    pub(super) unsafe fn transform_output<T: Float, V: Vector<Element = T>>(
        &self,
        block: Block,
        points: &[T],
        layout: Layout,
        bias: &[T],
        lines: &mut [T],
        outputs: &mut [T],
    ) {
        let lanes = self.written.lanes();
        let Images {
            channels, width, ..
        } = self.written;
        assert!(bias.len() >= lanes, "winograd: bias");
        for row in 0..block.rows {
            let line = self.line();
            for column in 0..self.columns {
                let source = &points[(row * self.columns + column) * layout.tile..];
                assert!(source.len() >= (POINTS - 1) * layout.point + lanes);
                let start = 2 * row * line + 2 * column * lanes;
                let target = &mut lines[start..start + line + 2 * lanes];
                for channel in (0..lanes).step_by(V::LANES) {
                    // SAFETY: as in `transform_input`; the bias was checked.
                    unsafe {
                        let source = source.as_ptr().add(channel);
                        let point = |i: usize| V::load(source.add(i * layout.point));
                        let columns: [[V; 2]; 4] = std::array::from_fn(|j| {
                            to_outputs(std::array::from_fn(|i| point(4 * i + j)))
                        });
                        let bias = V::load(bias.as_ptr().add(channel));
                        let target = target.as_mut_ptr().add(channel);
                        for i in 0..2 {
                            let row = to_outputs(columns.map(|column| column[i]));
                            for (j, value) in row.into_iter().enumerate() {
                                value.add(bias).store(target.add(i * line + j * lanes));
                            }
                        }
                    }
                }
            }
            for (i, line) in self.lines(row, lines).into_iter().enumerate() {
                let Some(start) = self.place(block, row, i) else {
                    continue;
                };
                let source = Matrix::new(line, lanes, width, channels);
                // SAFETY: as promised by the caller.
                unsafe { source.transpose::<V>(&mut outputs[start..], self.written.plane()) };
            }
        }
    }

    /// The two lines of outputs of a block's row of tiles.
    fn lines<'a, T>(&self, row: usize, lines: &'a mut [T]) -> [&'a mut [T]; 2] {
        let (first, second) = lines[2 * row * self.line()..].split_at_mut(self.line());
        [first, &mut second[..self.line()]]
    }

    /// Where a line of outputs begins in its images, unless it lies below the last.
    fn place(&self, block: Block, row: usize, line: usize) -> Option<usize> {
        let (image, image_row) = self.row(block.first + row);
        let y = 2 * image_row + line;
        (y < self.written.height).then(|| image * self.written.size() + y * self.written.width)
    }
}
