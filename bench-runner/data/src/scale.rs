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
