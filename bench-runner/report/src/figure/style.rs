//! The one look of all charts: colours, dashes, markers, text sizes and the embedded font.

use std::sync::LazyLock;

use bench_experiment::spec::method;
use plotters::style::{Color, FontStyle, IntoFont, RGBAColor, RGBColor, ShapeStyle, TextStyle};
use plotters::style::{register_font, text_anchor::Pos};

/// Drawing units per CSS pixel. plotters draws on a grid of integers; a tenth of a pixel keeps
/// curves smooth.
pub(super) const UNIT: f64 = 10.0;

/// The family under which the embedded font is known to plotters, to the SVG files and to their
/// converters. A browser shows its own sans-serif font instead, of nearly the same widths.
pub(super) const FAMILY: &str = "sans-serif";

/// Text sizes in CSS pixels.
pub(super) const TITLE: f64 = 15.0;
pub(super) const LABEL: f64 = 13.0;
pub(super) const TICK: f64 = 12.0;

pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const AXIS: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);
/// Curves that others are seen against.
pub(super) const CONTEXT: RGBColor = RGBColor(0xc4, 0xc4, 0xc4);

/// The colours of series, in order: those of Okabe and Ito (2008), which people with every common
/// form of colour blindness can tell apart, without yellow, which is too faint on white.
pub const PALETTE: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9",
];

/// Dash patterns in CSS pixels: drawn, then left out; nothing left out is a solid line.
pub const DASHES: [(u32, u32); 4] = [(1, 0), (7, 3), (2, 2), (12, 3)];

/// The shapes that mark points of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Cross,
    Plus,
    /// Hollow; for events on a curve, never for a series.
    Diamond,
}

const MARKERS: [Marker; 5] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Cross,
    Marker::Plus,
];

/// The methods that keep one colour in all charts, each with its place in the palette.
const KNOWN: [(&str, usize); 6] = [
    ("adam", 0),
    ("fuse-pv", 1),
    ("sgd", 2),
    ("lbfgs", 3),
    ("fuse", 4),
    ("adam+sgd", 5),
];

/// The numbers of series that stand for the optimizers of these labels. Trials of a method share its colour, and
/// differ by dash and marker; the usual methods have the same colour in all charts, variants of them and other
/// methods one that is left.
pub fn styles(labels: &[&str]) -> Vec<usize> {
    let mut colors: Vec<(String, usize)> = Vec::new();
    let methods: Vec<String> = labels.iter().map(|label| method(label)).collect();
    let color = |colors: &[(String, usize)], name: &str| {
        let found = colors.iter().find(|(known, _)| known == name);
        found.map(|(_, color)| *color)
    };
    for (family, own) in KNOWN {
        let is_of_family = |name: &&String| name.split(['/', ' ']).next() == Some(family);
        if let Some(first) = methods.iter().find(is_of_family) {
            colors.push((first.clone(), own));
        }
    }
    for name in &methods {
        if color(&colors, name).is_none() {
            let is_left = |color: &usize| colors.iter().all(|(_, taken)| taken != color);
            let next = (0..PALETTE.len()).rev().find(is_left);
            let next = next.unwrap_or(colors.len() % PALETTE.len());
            colors.push((name.clone(), next));
        }
    }
    let mut used = [0; PALETTE.len()];
    let numbers = methods.iter().map(|name| {
        let color = color(&colors, name).unwrap_or_default();
        used[color] += 1;
        color + PALETTE.len() * (used[color] - 1)
    });
    numbers.collect()
}

/// How one series looks. The cycles have different lengths, so that
/// 35 series differ by colour or marker.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesStyle {
    pub(super) color: RGBColor,
    pub(super) dash: (u32, u32),
    pub(super) marker: Marker,
}

/// The look of series number `index`.
pub(super) fn series(index: usize) -> SeriesStyle {
    SeriesStyle {
        color: parse_color(PALETTE[index % PALETTE.len()]),
        dash: DASHES[index % DASHES.len()],
        marker: MARKERS[index % MARKERS.len()],
    }
}

fn parse_color(hex: &str) -> RGBColor {
    let channel = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap_or(0);
    RGBColor(channel(1), channel(3), channel(5))
}

/// A colour of the sequential scale for `share` from 0 to 1: white to dark blue, of evenly falling
/// lightness, so that it reads in grey too.
pub(super) fn sequential(share: f64) -> RGBColor {
    const STOPS: [(f64, f64, f64); 5] = [
        (247.0, 251.0, 255.0),
        (198.0, 219.0, 239.0),
        (107.0, 174.0, 214.0),
        (33.0, 113.0, 181.0),
        (8.0, 48.0, 107.0),
    ];
    let at = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (at as usize).min(STOPS.len() - 2);
    let part = at - below as f64;
    let mix = |a: f64, b: f64| (a + part * (b - a)).round() as u8;
    let (low, high) = (STOPS[below], STOPS[below + 1]);
    RGBColor(mix(low.0, high.0), mix(low.1, high.1), mix(low.2, high.2))
}

/// Black or white, whichever is easier to read on `background`.
pub(super) fn text_on(background: RGBColor) -> RGBColor {
    let RGBColor(r, g, b) = background;
    let lightness = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
    if lightness > 140.0 {
        INK
    } else {
        RGBColor(255, 255, 255)
    }
}

/// A line `width` CSS pixels wide.
pub(super) fn stroke(color: RGBColor, width: f64) -> ShapeStyle {
    ShapeStyle::from(&color).stroke_width((width * UNIT).round() as u32)
}

/// A translucent fill.
pub(super) fn fill(color: RGBColor, opacity: f64) -> ShapeStyle {
    let color: RGBAColor = color.mix(opacity);
    color.filled()
}

/// A text style of `size` CSS pixels.
pub(super) fn text(size: f64, color: RGBColor, pos: Pos) -> TextStyle<'static> {
    embed_font();
    // plotters divides by 1.24 when it writes a font size.
    TextStyle {
        font: (FAMILY, size * UNIT * 1.24).into_font(),
        color: color.to_backend_color(),
        pos,
    }
}

/// The width of `content` in CSS pixels.
pub(super) fn width(content: &str, size: f64) -> f64 {
    // A font's height, by which plotters measures, is about 1.15 times its size.
    const HEIGHT: f64 = 1.15;
    embed_font();
    (FAMILY, size * UNIT * HEIGHT)
        .into_font()
        .layout_box(content)
        .map(|(_, (right, _))| f64::from(right) / UNIT)
        .unwrap_or(0.6 * size * content.chars().count() as f64)
}

/// `content` cut to at most `limit` CSS pixels, with an ellipsis where something is missing.
pub(super) fn fit(content: &str, size: f64, limit: f64) -> String {
    if width(content, size) <= limit {
        return content.to_owned();
    }
    let mut kept: String = content.to_owned();
    while kept.pop().is_some() {
        let shortened = format!("{}…", kept.trim_end());
        if width(&shortened, size) <= limit {
            return shortened;
        }
    }
    String::new()
}

/// An axis label in at most `limit` CSS pixels: without what stands beside its unit, and cut only if that is not
/// enough.
pub(super) fn fit_label(label: &str, size: f64, limit: f64) -> String {
    match label.split_once(", ") {
        Some((kept, _)) if label.ends_with(')') && width(label, size) > limit => {
            fit(&format!("{kept})"), size, limit)
        }
        _ => fit(label, size, limit),
    }
}

/// Makes text measurable on machines without fonts.
fn embed_font() {
    static FONT: LazyLock<()> = LazyLock::new(|| {
        // The bytes are a font of a release of that crate; if they were not, `width` estimates.
        let _ = register_font(
            FAMILY,
            FontStyle::Normal,
            epaint_default_fonts::UBUNTU_LIGHT,
        );
    });
    LazyLock::force(&FONT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_keep_their_colours_and_trials_differ() {
        let colors = |labels: &[&str]| -> Vec<usize> {
            let numbers = styles(labels);
            numbers
                .iter()
                .map(|number| number % PALETTE.len())
                .collect()
        };
        assert_eq!(colors(&["lbfgs", "fuse-pv/epoch", "adam"]), [3, 1, 0]);
        assert_eq!(
            colors(&["adam/lr=1", "muon", "adam/lr=2", "adam (placebo)", "sgd"]),
            [0, 6, 0, 5, 2]
        );
        let many: Vec<String> = (0..20).map(|i| format!("method-{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut numbers = styles(&many);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
    }
}
