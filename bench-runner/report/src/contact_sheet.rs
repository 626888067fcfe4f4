//! A look at a dataset: a contact sheet of its images.

use std::path::Path;

use ab_glyph::{Font, FontRef, ScaleFont, point};
use bench_data::ImageSet;
use image::{Rgb, RgbImage};

use crate::error::{Error, Result};

/// Classes with a row of their own; further ones are left out.
const MAX_ROWS: usize = 40;
const MARGIN: u32 = 8;
const LABEL_WIDTH: u32 = 220;
const TEXT_HEIGHT: f32 = 15.0;
const INK: [u8; 3] = [40, 40, 40];

/// Writes a PNG with one row per class: its name, how many of all images it has (and which share), and the
/// first `samples` of them in `set`.
///
/// # Errors
/// When the file cannot be written.
pub fn contact_sheet(set: &ImageSet, counts: &[usize], samples: usize, path: &Path) -> Result<()> {
    let font = FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)?;
    let (_, height, width) = set.shape();
    let scale = (48 / height.max(width)).max(1) as u32;
    let (tile_height, tile_width) = (height as u32 * scale, width as u32 * scale);
    let row_height = tile_height.max(TEXT_HEIGHT as u32 + 4) + 4;
    let rows = set.classes().len().min(MAX_ROWS) as u32;
    let mut sheet = RgbImage::from_pixel(
        2 * MARGIN + LABEL_WIDTH + samples as u32 * (tile_width + 4),
        2 * MARGIN + rows * row_height,
        Rgb([255; 3]),
    );
    let all: usize = counts.iter().sum();
    for (class, name) in set.classes().iter().enumerate().take(MAX_ROWS) {
        let top = MARGIN + class as u32 * row_height;
        let share = 100.0 * counts[class] as f64 / all as f64;
        let label = format!("{name}: {} ({share:.1} %)", counts[class]);
        write_text(
            &mut sheet,
            &font,
            &label,
            MARGIN,
            top + (row_height - TEXT_HEIGHT as u32) / 2,
        );
        let members = (0..set.len()).filter(|&i| set.labels()[i] as usize == class);
        for (column, index) in members.take(samples).enumerate() {
            let left = MARGIN + LABEL_WIDTH + column as u32 * (tile_width + 4);
            for y in 0..tile_height {
                for x in 0..tile_width {
                    let at = (y / scale) as usize * width + (x / scale) as usize;
                    sheet.put_pixel(left + x, top + y, Rgb(colour(set, index, at)));
                }
            }
        }
    }
    sheet.save(path).map_err(|source| Error::Picture {
        path: path.into(),
        source,
    })
}

fn colour(set: &ImageSet, index: usize, at: usize) -> [u8; 3] {
    let (channels, height, width) = set.shape();
    let pixels = set.pixels(index);
    std::array::from_fn(|channel| {
        let value = pixels[channel.min(channels - 1) * height * width + at];
        (u32::from(value) * 255 / u32::from(set.pixel_max())) as u8
    })
}

fn write_text(sheet: &mut RgbImage, font: &FontRef<'_>, text: &str, left: u32, top: u32) {
    let scaled = font.as_scaled(TEXT_HEIGHT);
    let mut x = left as f32;
    for c in text.chars() {
        let glyph = scaled.scaled_glyph(c);
        let id = glyph.id;
        let mut glyph = glyph;
        glyph.position = point(x, top as f32 + scaled.ascent());
        x += scaled.h_advance(id);
        if x > (left + LABEL_WIDTH) as f32 {
            return;
        }
        let Some(outline) = scaled.outline_glyph(glyph) else {
            continue;
        };
        let bounds = outline.px_bounds();
        outline.draw(|dx, dy, coverage| {
            let (x, y) = (bounds.min.x as u32 + dx, bounds.min.y as u32 + dy);
            if let Some(pixel) = sheet.get_pixel_mut_checked(x, y) {
                for (value, ink) in pixel.0.iter_mut().zip(INK) {
                    let mixed = f32::from(*value) * (1.0 - coverage) + f32::from(ink) * coverage;
                    *value = mixed as u8;
                }
            }
        });
    }
}
