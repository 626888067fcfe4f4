//! From encoded images (PNG, JPEG) to pixel values, channels first.

use std::fmt::Display;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GenericImageView, GrayImage, ImageDecoder, ImageReader, RgbImage};
use memchr::memchr;

use crate::guarded;
use crate::scale::{Window, part_of_scaled};

/// Channels, height and width.
pub(crate) type Shape = (usize, usize, usize);

/// Why an image could not be used, without its place.
pub(crate) type Decoded<T> = std::result::Result<T, String>;

/// Larger images are refused before they are decoded: a few kilobytes can claim gigabytes. The number is the
/// one from which Pillow warns of a "decompression bomb"; ImageNet's largest image has 61 million pixels.
const MAX_PIXELS: u64 = 89_478_485;

/// What the header of an image says, and the decoder of the rest.
struct Header<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    orientation: Orientation,
    /// Width and height as shown, after the orientation.
    dimensions: (u32, u32),
}

/// Reads the header of a PNG or JPEG.
fn header(bytes: &[u8]) -> Decoded<Header<'_>> {
    if bytes.is_empty() {
        return Err("no image: the bytes are empty".into());
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut decoder: Box<dyn ImageDecoder + '_> = match guarded(|| reader.into_decoder()) {
        Some(Ok(decoder)) => Box::new(decoder),
        Some(Err(error)) => return Err(damaged(error)),
        None => return Err(damaged("its header is damaged")),
    };
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "{width}×{height} pixels, expected at most {MAX_PIXELS} in all"
        ));
    }
    // As Python's `datasets` does; a damaged note about it is no reason to refuse the image.
    let orientation = guarded(|| decoder.as_mut().orientation().ok()).flatten();
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    Ok(Header {
        decoder,
        orientation,
        dimensions: if turned {
            (height, width)
        } else {
            (width, height)
        },
    })
}

fn damaged(problem: impl Display) -> String {
    format!("not a readable PNG or JPEG image: {problem}")
}

/// Decodes an image of any size; grey where `channels` is 1, else RGB. Grey images serve as RGB, as in
/// ImageNet; colour images do not serve as grey ones, unless all their pixels are grey.
pub(crate) fn decode(bytes: &[u8], channels: usize) -> Decoded<DynamicImage> {
    pixels(header(bytes)?, bytes, channels)
}

fn pixels(header: Header, bytes: &[u8], channels: usize) -> Decoded<DynamicImage> {
    if bytes.starts_with(&JPEG) && !has_end(bytes) {
        return Err(damaged("its end is missing"));
    }
    let mut image = match guarded(|| DynamicImage::from_decoder(header.decoder)) {
        Some(Ok(image)) => image,
        Some(Err(error)) => return Err(damaged(error)),
        None => return Err(damaged("its data are damaged")),
    };
    image.apply_orientation(header.orientation);
    match (channels, image.color().has_color()) {
        (1, false) => Ok(DynamicImage::ImageLuma8(image.into_luma8())),
        (1, true) => grey(&image.into_rgb8()),
        _ => Ok(DynamicImage::ImageRgb8(image.into_rgb8())),
    }
}

/// An image that is stored in colour (or with a palette) but shows only grey.
fn grey(image: &RgbImage) -> Decoded<DynamicImage> {
    let (width, height) = image.dimensions();
    let values = image.pixels().map(|pixel| {
        let [red, green, blue] = pixel.0;
        (red == green && green == blue).then_some(red)
    });
    values
        .collect::<Option<Vec<u8>>>()
        .and_then(|values| GrayImage::from_raw(width, height, values))
        .map(DynamicImage::ImageLuma8)
        .ok_or_else(|| "a colour image, expected grey".into())
}

/// How the formats begin.
const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// Whether a JPEG has its end marker: the decoder makes up what is missing. Segments are passed over by
/// their length, since thumbnails within them have ends of their own, and what follows the end is ignored.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr(0xff, rest)) {
        at += next;
        at += match bytes.get(at + 1) {
            Some(0xd9) => return true,
            Some(0xc0..=0xcf | 0xda..=0xfe) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
            // One of several that fill a gap before a marker.
            Some(0xff) => 1,
            // A marker without a segment, or a byte of a scan that is no marker.
            Some(_) => 2,
            None => return false,
        };
    }
    false
}

/// Decodes an image of exactly `shape`, or, with `resize`, of any size: its shorter side is scaled to
/// `resize` and its centre taken. Bytes that are neither PNG nor JPEG but have the length of raw pixels are
/// taken as such.
pub(crate) fn decode_into(
    bytes: &[u8],
    shape: Shape,
    resize: Option<usize>,
    target: &mut [u8],
) -> Decoded<()> {
    let (channels, height, width) = shape;
    let raw = bytes.len() == target.len();
    // Pixels may begin like a JPEG by chance, but then make no header of one.
    let header = if raw && !bytes.starts_with(&PNG) && !bytes.starts_with(&JPEG) {
        None
    } else {
        match header(bytes) {
            Err(_) if raw && bytes.starts_with(&JPEG) => None,
            found => Some(found?),
        }
    };
    let Some(header) = header else {
        target.copy_from_slice(bytes);
        return Ok(());
    };
    let (w, h) = header.dimensions;
    let wanted = (width as u32, height as u32);
    if resize.is_none() && (w, h) != wanted {
        return Err(format!(
            "{h} rows of {w} pixels, expected {height} of {width}"
        ));
    }
    if let Some(side) = resize {
        let (side, long, short) = (side as u64, u64::from(w.max(h)), u64::from(w.min(h)));
        if short == 0 || side * side * long / short > MAX_PIXELS {
            return Err(format!(
                "{w}×{h} pixels, too long to be scaled to {side} at the shorter side"
            ));
        }
    }
    let image = pixels(header, bytes, channels)?;
    let image = match resize {
        Some(side) => centre(&image, side as u32, wanted.1, wanted.0)?,
        None => image,
    };
    planes(&image, target);
    Ok(())
}

/// Scales the shorter side to `side` and takes the centre.
fn centre(image: &DynamicImage, side: u32, height: u32, width: u32) -> Decoded<DynamicImage> {
    let (w, h) = image.dimensions();
    let scale = |length: u32| (u64::from(length) * u64::from(side) / u64::from(w.min(h))) as u32;
    let (w, h) = (scale(w).max(side), scale(h).max(side));
    let part = Window {
        left: (w - width) / 2,
        top: (h - height) / 2,
        width,
        height,
    };
    part_of_scaled(image, w, h, part)
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
            let (red, rest) = target.split_at_mut(target.len() / 3);
            let (green, blue) = rest.split_at_mut(rest.len() / 2);
            let values = red.iter_mut().zip(green).zip(blue);
            for (((red, green), blue), pixel) in values.zip(rgb.pixels()) {
                [*red, *green, *blue] = pixel.0;
            }
        }
    }
}
