//! From a chart to SVG: the layout of title, panels and legend.

mod area;
mod canvas;
mod curves;
mod field;
mod heat;
mod intervals;
mod raster;
mod surface;

use area::{PanelSize, Rect};
use canvas::Canvas;

use super::chart::{Chart, Panel, Series};
use super::{Error, Result, style};

/// Room around and between the parts, in CSS pixels.
const MARGIN: f64 = 10.0;
const GAP: f64 = 18.0;
const TITLE_HEIGHT: f64 = 28.0;
const PANEL_TITLE_HEIGHT: f64 = 22.0;
const LEGEND_ROW: f64 = 20.0;

/// The least size of a plot that is still a picture.
const LEAST: (f64, f64) = (90.0, 70.0);
/// Panels in a row at most, and the width at which a row is broken before.
const COLUMNS: usize = 3;
const WIDEST: f64 = 1100.0;

/// Where everything stands.
struct Layout<'a> {
    width: f64,
    height: f64,
    /// Each panel's plot, and the width that its title may take.
    plots: Vec<(Rect, f64)>,
    /// Whether the curves are named at their ends instead of in a legend.
    direct: bool,
    legend: Vec<Vec<&'a Series>>,
    legend_top: f64,
}

impl<'a> Layout<'a> {
    /// The natural layout, or that of the chart's own size.
    fn new(chart: &'a Chart) -> Result<Self> {
        Self::of_size(chart, chart.size).map_err(|mut needed| {
            // More room may bring names to the curves, which need room themselves.
            while let Err([width, height]) = Self::of_size(chart, Some(needed)) {
                needed = [needed[0].max(width) + 1, needed[1].max(height) + 1];
            }
            Error::Size {
                chart: chart.name.clone(),
                width: needed[0],
                height: needed[1],
            }
        })
    }

    /// The layout of a size, or a size that comes nearer to what is needed.
    fn of_size(chart: &'a Chart, size_asked: Option<[u32; 2]>) -> Result<Self, [u32; 2]> {
        let alone = chart.panels.len() < 2;
        let asked = size_asked.map(|size| size.map(f64::from));
        let room = asked.map_or(f64::INFINITY, |[_, height]| height - 90.0);
        let direct = alone
            && matches!(chart.panels.first(), Some(Panel::Curves(panel)) if curves::labels_fit(panel, room));
        let mut sizes: Vec<PanelSize> = chart
            .panels
            .iter()
            .map(|panel| size(panel, alone, direct))
            .collect();
        let heading = if chart.panels.iter().any(|panel| !title(panel).is_empty()) {
            PANEL_TITLE_HEIGHT
        } else {
            0.0
        };
        let row_width = |row: &[PanelSize]| -> f64 {
            let panels: f64 = row
                .iter()
                .map(|size| size.left + size.width + size.right)
                .sum();
            2.0 * MARGIN + panels + GAP * row.len().saturating_sub(1) as f64
        };
        let fits = |columns: &usize| sizes.chunks(*columns).all(|row| row_width(row) <= WIDEST);
        let columns = (1..=COLUMNS).rev().find(fits).unwrap_or(1);
        let widest = sizes.chunks(columns).map(row_width).fold(0.0, f64::max);
        let title_width = style::width(&chart.title, style::TITLE);
        let natural = widest.max(2.0 * MARGIN + title_width.clamp(240.0, 640.0));
        let width = asked.map_or(natural, |[width, _]| width);
        if asked.is_some() {
            for row in sizes.chunks_mut(columns) {
                let spare = (width - row_width(row)) / row.len() as f64;
                row.iter_mut().for_each(|size| size.width += spare);
            }
        }
        let legend = if direct {
            Vec::new()
        } else {
            legend_rows(legend_entries(chart), width - 2.0 * MARGIN)
        };
        let tallest = |row: &[PanelSize]| -> f64 {
            row.iter()
                .map(|size| size.height + size.bottom)
                .fold(0.0, f64::max)
        };
        let rows: f64 = sizes
            .chunks(columns)
            .map(|row| heading + tallest(row))
            .sum();
        let gaps = GAP * sizes.chunks(columns).len().saturating_sub(1) as f64;
        let rest = MARGIN + TITLE_HEIGHT + gaps + 10.0 + LEGEND_ROW * legend.len() as f64 + MARGIN;
        let height = asked.map_or(rest + rows, |[_, height]| height);
        let spare = (height - rest - rows) / sizes.chunks(columns).len().max(1) as f64;
        sizes.iter_mut().for_each(|size| size.height += spare);
        let lacking = |side: fn(&PanelSize) -> f64, least: f64| {
            sizes
                .iter()
                .map(|size| least - side(size))
                .fold(0.0, f64::max)
        };
        let (narrow, low) = (
            lacking(|size| size.width, LEAST.0),
            lacking(|size| size.height, LEAST.1),
        );
        if asked.is_some() && (narrow > 0.0 || low > 0.0) {
            let across = chart.panels.len().clamp(1, columns) as f64;
            let rows = sizes.chunks(columns).len().max(1) as f64;
            return Err([
                (width + across * narrow).ceil() as u32,
                (height + rows * low).ceil() as u32,
            ]);
        }

        let mut plots = Vec::new();
        let mut top = MARGIN + TITLE_HEIGHT;
        for row in sizes.chunks(columns) {
            top += heading;
            let mut left = MARGIN;
            for size in row {
                let plot = Rect {
                    left: left + size.left,
                    top,
                    right: left + size.left + size.width,
                    bottom: top + size.height,
                };
                plots.push((plot, size.width + size.right));
                left = plot.right + size.right + GAP;
            }
            top += tallest(row) + GAP;
        }
        Ok(Self {
            width,
            height,
            plots,
            direct,
            legend_top: top - GAP.min(top) + 10.0,
            legend,
        })
    }
}

/// Draws `chart` as a complete SVG document.
pub(super) fn svg(chart: &Chart) -> Result<String> {
    let layout = Layout::new(chart)?;
    let (width, height) = (layout.width, layout.height);
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
        let below = MARGIN + TITLE_HEIGHT + 8.0;
        canvas.text_left(MARGIN, below, "no data", style::LABEL, style::AXIS)?;
    }
    for (panel, &(plot, room)) in chart.panels.iter().zip(&layout.plots) {
        let heading = style::fit(title(panel), style::LABEL, room);
        if !heading.is_empty() {
            canvas.text_left(
                plot.left,
                plot.top - 12.0,
                &heading,
                style::LABEL,
                style::INK,
            )?;
        }
        match panel {
            Panel::Curves(panel) => curves::draw(&canvas, panel, plot, layout.direct)?,
            Panel::Intervals(panel) => intervals::draw(&canvas, panel, plot)?,
            Panel::Heat(panel) => heat::draw(&canvas, panel, plot)?,
            Panel::Contours(panel) => field::draw(&canvas, panel, plot)?,
            Panel::Surface(panel) => surface::draw(&canvas, panel, plot)?,
            Panel::Field(panel) => raster::draw(&canvas, panel, plot)?,
        }
    }
    for (row, entries) in layout.legend.iter().enumerate() {
        let y = layout.legend_top + LEGEND_ROW * (row as f64 + 0.5);
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
        Panel::Field(panel) => &panel.title,
    }
}

fn size(panel: &Panel, alone: bool, direct: bool) -> PanelSize {
    match panel {
        Panel::Curves(panel) => curves::size(panel, alone, direct),
        Panel::Intervals(panel) => intervals::size(panel),
        Panel::Heat(panel) => heat::size(panel),
        Panel::Contours(panel) => field::size(panel),
        Panel::Surface(_) => surface::size(),
        Panel::Field(panel) => raster::size(panel),
    }
}

/// The series of all panels, each once.
fn legend_entries(chart: &Chart) -> Vec<&Series> {
    let mut entries: Vec<&Series> = Vec::new();
    for panel in &chart.panels {
        let series: &[Series] = match panel {
            Panel::Curves(panel) => &panel.series,
            Panel::Contours(panel) => &panel.paths,
            Panel::Intervals(_) | Panel::Heat(_) | Panel::Surface(_) | Panel::Field(_) => &[],
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
fn legend_rows(entries: Vec<&Series>, limit: f64) -> Vec<Vec<&Series>> {
    let mut rows: Vec<Vec<&Series>> = Vec::new();
    let mut used = f64::INFINITY;
    for series in entries {
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
/// own, whose ends would count as spaces, and makes an element of each dash and each segment of a
/// level line; these become one path.
fn tidied(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut open: Option<&str> = None;
    for line in body.lines() {
        if let Some((style, points)) = polyline(line) {
            if open != Some(style) {
                close(&mut text, open.replace(style));
                text.push_str(&format!(
                    "<path{} d=\"",
                    style.replace(" opacity=\"1\"", "")
                ));
            }
            text.push_str(&subpath(points));
            continue;
        }
        close(&mut text, open.take());
        text.push_str(&line.replace(" opacity=\"1\"", "").replace(" \"/>", "\"/>"));
        let within_text = text.ends_with('>') && line.starts_with("<text ");
        if !within_text && (line.starts_with('<') || line.is_empty()) {
            text.push('\n');
        }
    }
    close(&mut text, open);
    text
}

/// Ends a path that is being written.
fn close(text: &mut String, open: Option<&str>) {
    if open.is_some() {
        text.push_str("\"/>\n");
    }
}

/// The attributes and the points of an opaque polyline. Others are left alone, since where they
/// overlap, one path would look different.
fn polyline(line: &str) -> Option<(&str, &str)> {
    let attributes = line.strip_prefix("<polyline")?.strip_suffix("\"/>")?;
    let (style, points) = attributes.split_once(" points=\"")?;
    style.contains(" opacity=\"1\"").then_some((style, points))
}

/// Points as a part of a path, each but the first relative to the one before, which is shorter.
fn subpath(points: &str) -> String {
    let mut text = String::new();
    let mut last: Option<(i64, i64)> = None;
    for point in points.split_whitespace() {
        let Some((x, y)) = point.split_once(',') else {
            continue;
        };
        let (Ok(x), Ok(y)) = (x.parse::<i64>(), y.parse::<i64>()) else {
            continue;
        };
        match last {
            None => text.push_str(&format!("M{x} {y}l")),
            Some((from_x, from_y)) => {
                let gap = if text.ends_with('l') { "" } else { " " };
                text.push_str(&format!("{gap}{} {}", x - from_x, y - from_y));
            }
        }
        last = Some((x, y));
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::figure::chart::{AxisScale, Coordinate, Curves};

    #[test]
    fn every_panel_has_its_room_above_the_legend() {
        for panels in 1..=7 {
            let panel = Curves {
                title: "panel".into(),
                x: Coordinate::new("gradient evaluations", AxisScale::Linear),
                y: Coordinate::new("training cross-entropy (nats)", AxisScale::Log),
                series: Vec::new(),
                context: Vec::new(),
                references: Vec::new(),
            };
            let natural = size(&Panel::Curves(panel.clone()), false, false);
            let chart = Chart {
                name: "panels".into(),
                title: "Panels".into(),
                caption: String::new(),
                alt: String::new(),
                size: None,
                panels: vec![Panel::Curves(panel); panels],
            };
            let layout = Layout::new(&chart).unwrap();
            for (plot, _) in &layout.plots {
                assert!(plot.height() >= natural.height - 1e-9, "{panels}: {plot:?}");
                assert!(
                    plot.bottom + natural.bottom <= layout.legend_top,
                    "{panels}"
                );
                assert!(plot.right + natural.right <= layout.width, "{panels}");
            }
            assert!(layout.legend_top <= layout.height, "{panels}");
            let rows = layout.plots.iter().map(|(plot, _)| plot.top as i64);
            let rows: std::collections::BTreeSet<i64> = rows.collect();
            let tops: Vec<i64> = rows.into_iter().collect();
            let apart = tops
                .windows(2)
                .all(|pair| (pair[1] - pair[0]) as f64 > natural.height);
            assert!(apart, "{panels}: {tops:?}");
        }
    }
}
