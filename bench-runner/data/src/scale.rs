//! Images scaled to another size by Pillow's bilinear filter, which takes the mean of all pixels that a new one covers where it
//! makes the image smaller.

use fast_image_resize::images::CroppedImage;
use fast_image_resize::{FilterType, IntoImageView, ResizeAlg, ResizeOptions, Resizer};
use image::{ColorType, DynamicImage};

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A part of an image, scaled to width and height as if the rest did not exist.
///
/// # Errors
/// When the part is empty or not inside the image, or the new size is 0.
pub(crate) fn scaled(
    image: &DynamicImage,
    part: Window,
    width: u32,
    height: u32,
) -> Result<DynamicImage, String> {
    let cropped = CroppedImage::new(image, part.left, part.top, part.width, part.height)
        .map_err(|error| error.to_string())?;
    resized(&cropped, image.color(), filter(), width, height)
}

/// A part of what an image would be if scaled to width and height. The rest is not computed.
///
/// # Errors
/// When the part is empty or not inside the scaled image.
pub(crate) fn part_of_scaled(
    image: &DynamicImage,
    width: u32,
    height: u32,
    part: Window,
) -> Result<DynamicImage, String> {
    let across = f64::from(image.width()) / f64::from(width);
    let down = f64::from(image.height()) / f64::from(height);
    let options = filter().crop(
        f64::from(part.left) * across,
        f64::from(part.top) * down,
        f64::from(part.width) * across,
        f64::from(part.height) * down,
    );
    resized(image, image.color(), options, part.width, part.height)
}

fn filter() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
}

fn resized(
    image: &impl IntoImageView,
    color: ColorType,
    options: ResizeOptions,
    width: u32,
    height: u32,
) -> Result<DynamicImage, String> {
    let mut target = DynamicImage::new(width, height, color);
    Resizer::new()
        .resize(image, &mut target, &options)
        .map_err(|error| error.to_string())?;
    Ok(target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::{GrayImage, RgbImage};

    use super::*;

    /// Pixels that Pillow 13.0.0 gives: `image.crop(box).resize(size, Image.BILINEAR)`. Both round sums of integers, not at the
    /// same places, so that a pixel may differ by 1.
    #[test]
    fn pixels_are_those_of_pillow_but_for_rounding() {
        let image = GrayImage::from_fn(7, 5, |x, y| {
            image::Luma([(37 * x + 91 * y * y + 13 * x * y) as u8])
        });
        let image = DynamicImage::ImageLuma8(image);
        let window = |left, top, width, height| Window {
            left,
            top,
            width,
            height,
        };
        for (part, (width, height), expected) in [
            (
                window(0, 0, 7, 5),
                (4, 3),
                &[61, 128, 127, 163, 125, 167, 99, 181, 97, 119, 88, 177][..],
            ),
            (
                window(1, 1, 5, 3),
                (3, 2),
                &[176, 152, 93, 174, 87, 141][..],
            ),
            (
                window(0, 0, 7, 5),
                (10, 2),
                &[
                    64, 91, 127, 162, 151, 125, 92, 128, 163, 190, 106, 103, 119, 172, 119, 83, 76,
                    129, 182, 224,
                ][..],
            ),
        ] {
            let scaled = scaled(&image, part, width, height).unwrap();
            assert_eq!(scaled.as_bytes().len(), expected.len());
            for (pixel, pillow) in scaled.as_bytes().iter().zip(expected) {
                assert!(pixel.abs_diff(*pillow) <= 1, "{:?}", scaled.as_bytes());
            }
        }
    }

    #[test]
    fn a_part_of_the_scaled_image_is_that_of_the_whole_but_for_rounding() {
        let image = RgbImage::from_fn(97, 61, |x, y| {
            image::Rgb([1, 2, 3].map(|channel| (37 * x * channel + 91 * y * y + 13 * x * y) as u8))
        });
        let image = DynamicImage::ImageRgb8(image);
        let whole = Window {
            left: 0,
            top: 0,
            width: 97,
            height: 61,
        };
        for (width, height, side) in [(50, 32, 28), (97, 61, 40), (150, 95, 90)] {
            let part = Window {
                left: (width - side) / 2,
                top: (height - side) / 2,
                width: side,
                height: side,
            };
            let of_whole = scaled(&image, whole, width, height).unwrap();
            let expected = of_whole.crop_imm(part.left, part.top, side, side);
            let found = part_of_scaled(&image, width, height, part).unwrap();
            let pairs = found.as_bytes().iter().zip(expected.as_bytes());
            assert_eq!(found.as_bytes().len(), expected.as_bytes().len());
            assert!(pairs.into_iter().all(|(a, b)| a.abs_diff(*b) <= 1));
        }
    }

    #[test]
    fn a_part_outside_the_image_is_refused() {
        let image = DynamicImage::new_rgb8(4, 3);
        let part = Window {
            left: 2,
            top: 0,
            width: 3,
            height: 3,
        };
        assert!(scaled(&image, part, 2, 2).is_err());
        assert!(part_of_scaled(&image, 4, 3, part).is_err());
    }
}
