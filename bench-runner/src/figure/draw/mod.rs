//! From a chart to SVG: the layout of title, panels and legend.

mod canvas;
mod curves;
mod field;
mod heat;
mod intervals;
mod surface;

use canvas::Canvas;

use super::chart::{Chart, Panel, Series};
use super::{Result, style};

/// Room around and between the parts, in CSS pixels.
const MARGIN: f64 = 10.0;
const GAP: f64 = 18.0;
const TITLE_HEIGHT: f64 = 28.0;
const PANEL_TITLE_HEIGHT: f64 = 22.0;
const LEGEND_ROW: f64 = 20.0;

/// A rectangle in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    fn width(&self) -> f64 {
        self.right - self.left
    }

    fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// Room that a panel needs around its plot for ticks, labels and keys, and the plot's own size.
#[derive(Debug, Clone, Copy)]
struct Size {
    left: f64,
    right: f64,
    bottom: f64,
    width: f64,
    height: f64,
}

/// Draws `chart` as a complete SVG document.
pub(super) fn svg(chart: &Chart) -> Result<String> {
    let alone = chart.panels.len() < 2;
    let entries = legend_entries(chart);
    let direct = alone
        && matches!(chart.panels.first(), Some(Panel::Curves(panel)) if curves::labels_fit(panel));
    let sizes: Vec<Size> = chart
        .panels
        .iter()
        .map(|panel| size(panel, alone, direct))
        .collect();

    let panel_titles = chart.panels.iter().any(|panel| !title(panel).is_empty());
    let top = MARGIN
        + TITLE_HEIGHT
        + if panel_titles {
            PANEL_TITLE_HEIGHT
        } else {
            0.0
        };
    let panels_width: f64 = sizes
        .iter()
        .map(|size| size.left + size.width + size.right)
        .sum::<f64>()
        + GAP * sizes.len().saturating_sub(1) as f64;
    let title_width = style::width(&chart.title, style::TITLE);
    let width = 2.0 * MARGIN + panels_width.max(title_width.min(640.0)).max(240.0);
    let panels_height = sizes
        .iter()
        .map(|size| size.height + size.bottom)
        .fold(0.0, f64::max);
    let rows = if direct {
        Vec::new()
    } else {
        legend_rows(&entries, width - 2.0 * MARGIN)
    };
    let legend_top = top + panels_height + 10.0;
    let height = legend_top + LEGEND_ROW * rows.len() as f64 + MARGIN;

    let mut body = String::new();
    let canvas = Canvas::new(&mut body, width, height)?;
    canvas.text_left(
        MARGIN,
        MARGIN + 10.0,
        &style::fit(&chart.title, style::TITLE, width - 2.0 * MARGIN),
        style::TITLE,
        style::INK,
    )?;
    if chart.panels.is_empty() {
        canvas.text_left(MARGIN, top + 8.0, "no data", style::LABEL, style::AXIS)?;
    }
    let mut left = MARGIN;
    for (panel, size) in chart.panels.iter().zip(&sizes) {
        let plot = Rect {
            left: left + size.left,
            top,
            right: left + size.left + size.width,
            bottom: top + size.height,
        };
        let heading = style::fit(title(panel), style::LABEL, size.width + size.right);
        if !heading.is_empty() {
            canvas.text_left(plot.left, top - 12.0, &heading, style::LABEL, style::INK)?;
        }
        match panel {
            Panel::Curves(panel) => curves::draw(&canvas, panel, plot, direct)?,
            Panel::Intervals(panel) => intervals::draw(&canvas, panel, plot)?,
            Panel::Heat(panel) => heat::draw(&canvas, panel, plot)?,
            Panel::Contours(panel) => field::draw(&canvas, panel, plot)?,
            Panel::Surface(panel) => surface::draw(&canvas, panel, plot)?,
        }
        left = plot.right + size.right + GAP;
    }
    for (row, entries) in rows.iter().enumerate() {
        let y = legend_top + LEGEND_ROW * (row as f64 + 0.5);
        let mut x = MARGIN;
        for series in entries {
            canvas.sample(x, y, series.style)?;
            canvas.text_left(x + 28.0, y, &series.label, style::LABEL, style::INK)?;
            x += entry_width(series);
        }
    }
    canvas.finish()?;
    Ok(described(&body, chart, width, height))
}

fn title(panel: &Panel) -> &str {
    match panel {
        Panel::Curves(panel) => &panel.title,
        Panel::Intervals(panel) => &panel.title,
        Panel::Heat(panel) => &panel.title,
        Panel::Contours(panel) => &panel.title,
        Panel::Surface(panel) => &panel.title,
    }
}

fn size(panel: &Panel, alone: bool, direct: bool) -> Size {
    match panel {
        Panel::Curves(panel) => curves::size(panel, alone, direct),
        Panel::Intervals(panel) => intervals::size(panel),
        Panel::Heat(panel) => heat::size(panel),
        Panel::Contours(panel) => field::size(panel),
        Panel::Surface(_) => surface::size(),
    }
}

/// The series of all panels, each once.
fn legend_entries(chart: &Chart) -> Vec<&Series> {
    let mut entries: Vec<&Series> = Vec::new();
    for panel in &chart.panels {
        let series: &[Series] = match panel {
            Panel::Curves(panel) => &panel.series,
            Panel::Contours(panel) => &panel.paths,
            Panel::Intervals(_) | Panel::Heat(_) | Panel::Surface(_) => &[],
        };
        for series in series {
            if !entries.iter().any(|entry| entry.label == series.label) {
                entries.push(series);
            }
        }
    }
    entries
}

fn entry_width(series: &Series) -> f64 {
    28.0 + 1.06 * style::width(&series.label, style::LABEL) + 20.0
}

/// Breaks the legend into rows of at most `limit` pixels.
fn legend_rows<'a>(entries: &[&'a Series], limit: f64) -> Vec<Vec<&'a Series>> {
    let mut rows: Vec<Vec<&Series>> = Vec::new();
    let mut used = f64::INFINITY;
    for &series in entries {
        let needed = entry_width(series);
        if used + needed > limit {
            rows.push(Vec::new());
            used = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push(series);
        }
        used += needed;
    }
    rows
}

/// Gives the document its size in CSS pixels, its title and its description.
fn described(svg: &str, chart: &Chart, width: f64, height: f64) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let (width, height) = (width.round(), height.round());
    let (inner_width, inner_height) = (width * style::UNIT, height * style::UNIT);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {inner_width} {inner_height}\" role=\"img\">\n\
         <title>{}</title>\n<desc>{}</desc>{}",
        escape(&chart.title),
        escape(&chart.alt),
        tidied(body),
    )
}

/// The elements as plotters wrote them, without what has no effect. It puts each text on a line of its
/// own, whose ends would count as spaces.
fn tidied(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    for line in body.lines() {
        text.push_str(&line.replace(" opacity=\"1\"", "").replace(" \"/>", "\"/>"));
        let within_text = text.ends_with('>') && line.starts_with("<text ");
        if !within_text && (line.starts_with('<') || line.is_empty()) {
            text.push('\n');
        }
    }
    text
}

/// Text for XML.
pub(in crate::figure) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
