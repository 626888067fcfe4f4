//! How images are cut into tiles, and the working memory for them.

use super::transpose::Matrix;
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::vector::{SQUARE, Vector};

/// The points of a transformed tile.
pub(super) const POINTS: usize = 16;

/// Elements of transformed tiles, of both sides, that are worked on at a time. They stay in the first- or second-level
/// cache.
const BLOCK_ELEMENTS: usize = 1 << 14;

/// Tiles that are worked on at a time.
const FEWEST_TILES: usize = 8;
const MOST_TILES: usize = 64;

/// Elements that are left free between points (or tiles, whichever is the outer dimension): at distances of whole pages
/// all of them would share a few lines of the first-level cache.
const GAP: usize = 16;

/// A correlation of images with 3×3 kernels, in tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiling {
    /// The images that are read.
    pub(super) read: Images,
    /// Zeros above and to the left of what is read.
    pub(super) before: usize,
    /// The images of the correlation's output.
    pub(super) written: Images,
    /// Rows and columns of tiles in an image.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Images in a group, and rows of tiles in a block.
    pub(super) images: usize,
    block_rows: usize,
}

/// The sizes of images.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Images {
    /// A convolution's inputs and outputs.
    fn of(geometry: &Geometry) -> [Self; 2] {
        let inputs = Self {
            channels: geometry.in_channels,
            height: geometry.height,
            width: geometry.width,
        };
        let outputs = Self {
            channels: geometry.out_channels,
            height: geometry.out_height(),
            width: geometry.out_width(),
        };
        [inputs, outputs]
    }

    pub(super) fn plane(&self) -> usize {
        self.height * self.width
    }

    pub(super) fn size(&self) -> usize {
        self.channels * self.plane()
    }

    /// The channels, rounded up to whole vectors.
    pub(super) fn lanes(&self) -> usize {
        self.channels.next_multiple_of(SQUARE)
    }
}

/// Where the transformed tiles lie in memory: the distances of tiles and of points. Channels are neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) tile: usize,
    pub(super) point: usize,
}

impl Layout {
    /// `[point][tile][channel]`.
    pub(super) fn by_points(tiles: usize, lanes: usize) -> Self {
        Self {
            tile: lanes,
            point: tiles * lanes + GAP,
        }
    }

    /// `[tile][point][channel]`.
    pub(super) fn by_tiles(lanes: usize) -> Self {
        Self {
            tile: POINTS * lanes + GAP,
            point: lanes,
        }
    }
}

/// Consecutive rows of tiles, which may belong to several images.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) first: usize,
    pub(super) rows: usize,
}

impl Tiling {
    pub(super) fn new(read: Images, before: usize, written: Images) -> Self {
        let rows = written.height.div_ceil(2);
        let columns = written.width.div_ceil(2);
        let tiles = BLOCK_ELEMENTS / (POINTS * (read.lanes() + written.lanes()));
        let tiles = tiles.clamp(FEWEST_TILES, MOST_TILES);
        let images = (tiles / (rows * columns)).max(1);
        Self {
            read,
            before,
            written,
            rows,
            columns,
            images,
            block_rows: (tiles / columns).clamp(1, images * rows),
        }
    }

    /// That of a convolution.
    pub(super) fn forward(geometry: &Geometry) -> Self {
        let [inputs, outputs] = Images::of(geometry);
        Self::new(inputs, geometry.padding, outputs)
    }

    /// That of the gradient with respect to a convolution's input.
    pub(super) fn input_gradient(geometry: &Geometry) -> Self {
        let [inputs, outputs] = Images::of(geometry);
        Self::new(outputs, geometry.kernel - 1 - geometry.padding, inputs)
    }

    /// All rows of tiles of one image.
    pub(super) fn whole(&self) -> Block {
        Block {
            first: 0,
            rows: self.rows,
        }
    }

    /// The blocks of a number of images.
    pub(super) fn blocks(&self, images: usize) -> impl Iterator<Item = Block> {
        let (all, most) = (images * self.rows, self.block_rows);
        (0..all).step_by(most).map(move |first| Block {
            first,
            rows: most.min(all - first),
        })
    }

    /// The image of a row of tiles, and the row in it.
    pub(super) fn row(&self, row: usize) -> (usize, usize) {
        (row / self.rows, row % self.rows)
    }

    /// The most tiles of a block, rounded up so that they make whole panels of a product.
    pub(super) fn tiles(&self) -> usize {
        (self.block_rows * self.columns).next_multiple_of(SQUARE)
    }

    /// Elements of a line of a frame: the pixels that a row of tiles reads.
    pub(super) fn pitch(&self) -> usize {
        (2 * self.columns + 2) * self.read.lanes()
    }

    /// Elements of a frame: an image in zeros, as `[row][column][channel]`.
    pub(super) fn frame(&self) -> usize {
        (2 * self.rows + 2) * self.pitch()
    }

    /// How a block's transformed tiles of what is read lie in memory: `[point][tile][channel]`.
    pub(super) fn read_layout(&self) -> Layout {
        Layout::by_points(self.tiles(), self.read.lanes())
    }

    /// The same of what is written.
    pub(super) fn written_layout(&self) -> Layout {
        Layout::by_points(self.tiles(), self.written.lanes())
    }

    /// Elements of a line of outputs of a block, `[row][column][channel]`.
    pub(super) fn line(&self) -> usize {
        2 * self.columns * self.written.lanes()
    }

    /// The elements of [`Self::scratch`].
    pub(super) fn scratch_size(&self) -> usize {
        let frames = self.images * self.frame();
        let points = POINTS * (self.read_layout().point + self.written_layout().point);
        frames + points + 2 * self.block_rows * self.line()
    }

    /// Cuts working memory into the frames of a group, transformed tiles of both sides, and the outputs of a block.
    pub(super) fn scratch<'a, T>(&self, memory: &'a mut [T]) -> Scratch<'a, T> {
        let (frames, memory) = memory.split_at_mut(self.images * self.frame());
        let (read, memory) = memory.split_at_mut(POINTS * self.read_layout().point);
        let (written, lines) = memory.split_at_mut(POINTS * self.written_layout().point);
        Scratch {
            frames,
            read,
            written,
            lines,
        }
    }

    /// Whether vectors of so many elements divide the channels of both sides.
    pub(super) fn fits(&self, lanes: usize) -> bool {
        let sides = [self.read, self.written];
        sides.iter().all(|side| side.lanes().is_multiple_of(lanes))
    }

    /// Copies images into their frames; the zeros around them stay.
    ///
    /// # Safety
    /// The CPU must have the instruction set of `V`.
    #[inline(always)]
    pub(super) unsafe fn fill<T: Float, V: Vector<Element = T>>(
        &self,
        images: &[T],
        frames: &mut [T],
    ) {
        let Images {
            channels, width, ..
        } = self.read;
        let images = images.chunks_exact(self.read.size());
        for (image, frame) in images.zip(frames.chunks_exact_mut(self.frame())) {
            for row in 0..self.read.height {
                let start = (row + self.before) * self.pitch() + self.before * self.read.lanes();
                let source = Matrix::new(&image[row * width..], self.read.plane(), channels, width);
                // SAFETY: as promised by the caller.
                unsafe { source.transpose::<V>(&mut frame[start..], self.read.lanes()) };
            }
        }
    }
}

/// Working memory.
pub(super) struct Scratch<'a, T> {
    pub(super) frames: &'a mut [T],
    /// Transformed tiles of what is read, and of what is written.
    pub(super) read: &'a mut [T],
    pub(super) written: &'a mut [T],
    /// Lines of outputs, `[row][column][channel]`.
    pub(super) lines: &'a mut [T],
}
