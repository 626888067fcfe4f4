//! Random flips and crops, seeded per sample: a pure function of seed, epoch and sample.

use image::DynamicImage;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::decode::{Decoded, Shape};
use crate::scale::{Window, scaled};
use crate::{Error, Result};
use bench_stats::random::{Stream, below, stream, unit};

/// More padding than this leaves nothing to see of any image.
const MAX_PADDING: usize = 1 << 10;

/// How training images are varied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Mirrors every other image left to right.
    pub flip: bool,
    /// Pads so many zero pixels on each side and takes a random window of the original size.
    pub crop_padding: usize,
    /// Takes a random part of 8 % to 100 % of the area and of aspect 3/4 to 4/3, scaled to the
    /// dataset's shape (Szegedy et al. 2015); only for streamed images.
    pub random_resized_crop: bool,
}

/// The draws for one sample.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// Epochs below 2²⁴ and samples below 2³² have draws of their own.
    pub(crate) fn new(seed: u64, epoch: u64, sample: u32) -> Self {
        Self(stream(
            seed,
            Stream::Augmentation,
            (epoch << 32) | u64::from(sample),
        ))
    }
}

impl Augmentation {
    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the settings can be used at all.
    ///
    /// # Errors
    /// When padding is beyond all images.
    pub fn check(&self) -> Result<()> {
        if self.crop_padding > MAX_PADDING {
            return Err(Error::setting(
                "crop_padding",
                self.crop_padding,
                format!("at most {MAX_PADDING} pixels"),
            ));
        }
        Ok(())
    }

    /// Whether the settings can be used on images in memory.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when resized crops are asked for, which need streamed images.
    pub fn check_in_memory(&self) -> Result<()> {
        self.check()?;
        if self.random_resized_crop {
            return Err(Error::setting(
                "random_resized_crop",
                true,
                "false for images in memory, which have one size",
            ));
        }
        Ok(())
    }

    /// Crops and flips one image of planes in place.
    pub(crate) fn apply(&self, draws: &mut Draws, shape: Shape, pixels: &mut [u8]) {
        let (_, height, width) = shape;
        let padding = self.crop_padding;
        // Both offsets and the flip are always drawn, so that one setting does not change another's draws.
        let window = 2 * padding + 1;
        let (top, left) = (below(&mut draws.0, window), below(&mut draws.0, window));
        let flip = below(&mut draws.0, 2) == 1 && self.flip;
        if !flip && padding == 0 {
            return;
        }
        for plane in pixels.chunks_exact_mut(height * width) {
            let source = plane.to_vec();
            for row in 0..height {
                for column in 0..width {
                    let from_column = if flip { width - 1 - column } else { column };
                    let (y, x) = (row + top, from_column + left);
                    let inside = (padding..padding + height).contains(&y)
                        && (padding..padding + width).contains(&x);
                    plane[row * width + column] = if inside {
                        source[(y - padding) * width + (x - padding)]
                    } else {
                        0
                    };
                }
            }
        }
    }

    /// A random part of an image of any size, scaled to height and width.
    pub(crate) fn resized_crop(
        draws: &mut Draws,
        image: &DynamicImage,
        height: u32,
        width: u32,
    ) -> Decoded<DynamicImage> {
        let (full_width, full_height) = (f64::from(image.width()), f64::from(image.height()));
        let log_ratio = (4.0f64 / 3.0).ln();
        // As torchvision: ten draws, then the whole image.
        let window = (0..10).find_map(|_| {
            let area = full_width * full_height * (0.08 + 0.92 * unit(&mut draws.0));
            let ratio = ((2.0 * unit(&mut draws.0) - 1.0) * log_ratio).exp();
            let w = (area * ratio).sqrt().round();
            let h = (area / ratio).sqrt().round();
            (w >= 1.0 && h >= 1.0 && w <= full_width && h <= full_height)
                .then_some((w as u32, h as u32))
        });
        let (w, h) = window.unwrap_or((image.width(), image.height()));
        let left = below(&mut draws.0, (image.width() - w + 1) as usize) as u32;
        let top = below(&mut draws.0, (image.height() - h + 1) as usize) as u32;
        let part = Window {
            left,
            top,
            width: w,
            height: h,
        };
        scaled(image, part, width, height)
    }
}
