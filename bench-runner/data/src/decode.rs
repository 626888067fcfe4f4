//! From encoded images (PNG, JPEG) to pixel values, channels first.

use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView, ImageDecoder, ImageReader, RgbImage};
use std::io::Cursor;

/// Channels, height and width.
pub(crate) type Shape = (usize, usize, usize);

/// Why an image could not be used, without its place.
type Decoded<T> = std::result::Result<T, String>;

/// Larger images are refused before they are decoded: a damaged header must not exhaust the memory.
const MAX_SIDE: u32 = 1 << 15;

/// Decodes an image of any size; grey where `channels` is 1, else RGB. Grey images serve as RGB, as in
/// ImageNet; colour images do not serve as grey ones.
pub(crate) fn decode(bytes: &[u8], channels: usize) -> Decoded<DynamicImage> {
    if bytes.is_empty() {
        return Err("no image: the bytes are empty".into());
    }
    if is_cut_off(bytes) {
        return Err("not a readable PNG or JPEG image: its end is missing".into());
    }
    let damaged = |error: image::ImageError| format!("not a readable PNG or JPEG image: {error}");
    let decoder = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?
        .into_decoder()
        .map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > MAX_SIDE {
        return Err(format!(
            "{width}×{height} pixels, expected at most {MAX_SIDE} a side"
        ));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    match (channels, image.color().has_color()) {
        (1, false) => Ok(DynamicImage::ImageLuma8(image.into_luma8())),
        (1, true) => Err("a colour image, expected grey".into()),
        _ => Ok(DynamicImage::ImageRgb8(image.into_rgb8())),
    }
}

/// Whether a JPEG's last scan has no end. The decoder fills in what is missing at the end; within a scan,
/// no byte pair looks like a marker.
fn is_cut_off(bytes: &[u8]) -> bool {
    let marker = |pair: &[u8]| pair[0] == 0xff && [0xd9, 0xda].contains(&pair[1]);
    bytes.starts_with(&[0xff, 0xd8])
        && bytes
            .windows(2)
            .rfind(|pair| marker(pair))
            .is_none_or(|last| last[1] == 0xda)
}

/// Decodes an image of exactly `shape`, or, with `resize`, of any size: its shorter side is scaled to
/// `resize` and its centre taken. Bytes that are no known image format but have the length of raw pixels
/// are taken as such.
pub(crate) fn decode_into(
    bytes: &[u8],
    shape: Shape,
    resize: Option<usize>,
    target: &mut [u8],
) -> Decoded<()> {
    let (channels, height, width) = shape;
    if bytes.len() == target.len() && image::guess_format(bytes).is_err() {
        target.copy_from_slice(bytes);
        return Ok(());
    }
    let image = decode(bytes, channels)?;
    let image = match resize {
        Some(side) => centre(&image, side as u32, height as u32, width as u32),
        None => image,
    };
    if image.dimensions() != (width as u32, height as u32) {
        return Err(format!(
            "{} rows of {} pixels, expected {height} of {width}",
            image.height(),
            image.width()
        ));
    }
    planes(&image, target);
    Ok(())
}

/// Scales the shorter side to `side` and takes the centre.
fn centre(image: &DynamicImage, side: u32, height: u32, width: u32) -> DynamicImage {
    let (w, h) = image.dimensions();
    let scale = |length: u32| (u64::from(length) * u64::from(side) / u64::from(w.min(h))) as u32;
    let image = image.resize_exact(scale(w).max(side), scale(h).max(side), FilterType::Triangle);
    let (w, h) = image.dimensions();
    image.crop_imm((w - width) / 2, (h - height) / 2, width, height)
}

/// Copies pixels into one plane per channel.
pub(crate) fn planes(image: &DynamicImage, target: &mut [u8]) {
    match image {
        DynamicImage::ImageLuma8(grey) => target.copy_from_slice(grey.as_raw()),
        other => {
            let converted: RgbImage;
            let rgb = match other {
                DynamicImage::ImageRgb8(rgb) => rgb,
                _ => {
                    converted = other.to_rgb8();
                    &converted
                }
            };
            let plane = target.len() / 3;
            for (at, pixel) in rgb.as_raw().chunks_exact(3).enumerate() {
                for (channel, value) in pixel.iter().enumerate() {
                    target[channel * plane + at] = *value;
                }
            }
        }
    }
}
