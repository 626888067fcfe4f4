//! From SVG to the other formats.

use std::sync::{Arc, LazyLock};

use resvg::{tiny_skia, usvg};

use super::{Chart, Error, Result, draw};

/// A file format of charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Vector graphics with text as text.
    Svg,
    /// Pixels, 2.5 to a CSS pixel.
    Png,
    /// Vector graphics with the font embedded.
    Pdf,
}

impl Format {
    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Pdf => "pdf",
        }
    }
}

/// Pixels per CSS pixel in PNG files: about 300 dots per inch at the width of a journal's column.
const RESOLUTION: f32 = 2.5;

impl Chart {
    /// The chart as an SVG document.
    ///
    /// # Errors
    /// When plotters cannot draw it.
    pub fn svg(&self) -> Result<String> {
        draw::svg(self)
    }

    /// The chart as a file of `format`. The same chart gives the same bytes.
    ///
    /// # Errors
    /// When it cannot be drawn or converted.
    pub fn render(&self, format: Format) -> Result<Vec<u8>> {
        self.convert(&self.svg()?, format)
    }

    /// `name.extension` and its bytes for each format.
    ///
    /// # Errors
    /// When it cannot be drawn or converted.
    pub fn files(&self, formats: &[Format]) -> Result<Vec<(String, Vec<u8>)>> {
        let svg = self.svg()?;
        formats
            .iter()
            .map(|&format| Ok((self.file_name(format), self.convert(&svg, format)?)))
            .collect()
    }

    /// The name of its file in a format.
    pub(crate) fn file_name(&self, format: Format) -> String {
        format!("{}.{}", self.name, format.extension())
    }

    fn convert(&self, svg: &str, format: Format) -> Result<Vec<u8>> {
        let failed = |reason: String| Error::Convert {
            chart: self.name.clone(),
            format: format.extension(),
            reason,
        };
        if format == Format::Svg {
            return Ok(svg.as_bytes().to_vec());
        }
        let tree = usvg::Tree::from_str(svg, &options()).map_err(|e| failed(e.to_string()))?;
        if format == Format::Pdf {
            // 0.75 points to a CSS pixel.
            let page = svg2pdf::PageOptions { dpi: 96.0 };
            return svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), page)
                .map(in_order)
                .map_err(|e| failed(e.to_string()));
        }
        let size = tree.size();
        let pixels = |length: f32| (length * RESOLUTION).round() as u32;
        let mut canvas = tiny_skia::Pixmap::new(pixels(size.width()), pixels(size.height()))
            .ok_or_else(|| failed(format!("its size is {size:?}")))?;
        let scale = tiny_skia::Transform::from_scale(RESOLUTION, RESOLUTION);
        resvg::render(&tree, scale, &mut canvas.as_mut());
        canvas.encode_png().map_err(|e| failed(e.to_string()))
    }
}

/// Sorts the entries of a PDF's resource dictionaries, which svg2pdf writes in the random order of a
/// hash map. All lengths stay, so no offset changes.
fn in_order(mut pdf: Vec<u8>) -> Vec<u8> {
    for kind in [
        &b"/ExtGState <<\n"[..],
        b"/XObject <<\n",
        b"/ColorSpace <<\n",
    ] {
        let mut from = 0;
        while let Some(found) = find(&pdf[from..], kind) {
            let start = from + found + kind.len();
            let end = find(&pdf[start..], b">>").map_or(start, |length| {
                let line = pdf[..start + length]
                    .iter()
                    .rposition(|&byte| byte == b'\n');
                line.map_or(start, |line| (line + 1).max(start))
            });
            let mut entries: Vec<&[u8]> = pdf[start..end]
                .split_inclusive(|&byte| byte == b'\n')
                .collect();
            entries.sort_by_key(|entry| (entry.len(), entry.to_vec()));
            let sorted = entries.concat();
            pdf[start..end].copy_from_slice(&sorted);
            from = end;
        }
    }
    pdf
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The embedded fonts stand for every family; system fonts are not looked at, so that all machines
/// give the same bytes.
fn options() -> usvg::Options<'static> {
    static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        // For the signs that the first one lacks, such as ‖, ∇ and ⁻.
        fonts.load_font_data(epaint_default_fonts::HACK_REGULAR.to_vec());
        let family = fonts
            .faces()
            .next()
            .and_then(|face| face.families.first())
            .map(|(name, _)| name.clone());
        if let Some(family) = family {
            fonts.set_sans_serif_family(family);
        }
        Arc::new(fonts)
    });
    usvg::Options {
        fontdb: FONTS.clone(),
        font_family: "sans-serif".to_owned(),
        ..usvg::Options::default()
    }
}
