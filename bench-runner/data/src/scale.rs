//! Images scaled to another size.

use fast_image_resize::images::CroppedImage;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A part of an image, scaled to width and height by Pillow's bilinear filter, which takes the mean of all pixels that a new one
/// covers where it makes the image smaller.
///
/// # Errors
/// When the part is empty or not inside the image, or the new size is 0.
pub(crate) fn scaled(
    image: &DynamicImage,
    part: Window,
    width: u32,
    height: u32,
) -> Result<DynamicImage, String> {
    let mut target = DynamicImage::new(width, height, image.color());
    let part = CroppedImage::new(image, part.left, part.top, part.width, part.height)
        .map_err(|error| error.to_string())?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize(&part, &mut target, &options)
        .map_err(|error| error.to_string())?;
    Ok(target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::GrayImage;

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
    fn a_part_outside_the_image_is_refused() {
        let image = DynamicImage::new_rgb8(4, 3);
        let part = Window {
            left: 2,
            top: 0,
            width: 3,
            height: 3,
        };
        assert!(scaled(&image, part, 2, 2).is_err());
    }
}
