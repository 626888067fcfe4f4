//! A table of coloured cells with its colour key.

use plotters::style::text_anchor::HPos;

use super::area::{PanelSize, Rect};
use super::canvas::Canvas;
use crate::figure::axis::tick_label;
use crate::figure::chart::Heat;
use crate::figure::{Result, style};

const ROW: f64 = 32.0;
const NARROWEST: f64 = 52.0;
const KEY_WIDTH: f64 = 14.0;
/// Room for the colour key.
pub(super) const KEY_ROOM: f64 = 84.0;

fn column_width(panel: &Heat) -> f64 {
    let texts = panel.cells.iter().flatten().map(|cell| cell.text.as_str());
    texts
        .chain(panel.columns.iter().map(String::as_str))
        .map(|text| 1.06 * style::width(text, style::TICK) + 12.0)
        .fold(NARROWEST, f64::max)
}

pub(super) fn size(panel: &Heat) -> PanelSize {
    let widest = panel
        .rows
        .iter()
        .map(|row| 1.06 * style::width(row, style::TICK))
        .fold(20.0, f64::max);
    PanelSize {
        left: widest + 34.0,
        right: KEY_ROOM,
        bottom: 42.0,
        width: column_width(panel) * panel.columns.len().max(1) as f64,
        height: ROW * panel.rows.len().max(1) as f64,
    }
}

pub(super) fn draw(canvas: &Canvas<'_>, panel: &Heat, plot: Rect) -> Result<()> {
    let [low, high] = panel.bounds;
    let share = |value: f64| {
        if high > low {
            (value - low) / (high - low)
        } else {
            0.5
        }
    };
    let width = plot.width() / panel.columns.len().max(1) as f64;
    let row_height = plot.height() / panel.rows.len().max(1) as f64;
    for (i, name) in panel.rows.iter().enumerate() {
        let top = plot.top + row_height * i as f64;
        let middle = top + 0.5 * row_height;
        canvas.text(
            (plot.left - 8.0, middle),
            name,
            style::TICK,
            style::INK,
            HPos::Right,
        )?;
        for (j, cell) in panel.cells.get(i).into_iter().flatten().enumerate() {
            let left = plot.left + width * j as f64;
            let rect = Rect {
                left: left + 1.0,
                top: top + 1.0,
                right: left + width - 1.0,
                bottom: top + row_height - 1.0,
            };
            let color = cell
                .value
                .map_or(style::GRID, |value| style::sequential(share(value)));
            canvas.rectangle(rect, color)?;
            let at = (left + 0.5 * width, middle);
            canvas.text(
                at,
                &cell.text,
                style::TICK,
                style::text_on(color),
                HPos::Center,
            )?;
        }
    }
    for (j, name) in panel.columns.iter().enumerate() {
        let at = (plot.left + width * (j as f64 + 0.5), plot.bottom + 11.0);
        canvas.text(at, name, style::TICK, style::INK, HPos::Center)?;
    }
    let below = (plot.left + 0.5 * plot.width(), plot.bottom + 31.0);
    canvas.text(
        below,
        &panel.x_label,
        style::LABEL,
        style::INK,
        HPos::Center,
    )?;
    let beside = (
        plot.left + 12.0 - size(panel).left,
        plot.top + 0.5 * plot.height(),
    );
    canvas.text_upwards(beside, &panel.y_label)?;
    key(canvas, panel.bounds, &panel.value_label, plot)
}

/// The colour key to the right of a plot: what the colours between the values `bounds` stand for.
pub(super) fn key(
    canvas: &Canvas<'_>,
    [low, high]: [f64; 2],
    value_label: &str,
    plot: Rect,
) -> Result<()> {
    const STEPS: usize = 24;
    let left = plot.right + 14.0;
    let step = plot.height() / STEPS as f64;
    for i in 0..STEPS {
        let bottom = plot.bottom - step * i as f64;
        let rect = Rect {
            left,
            top: bottom - step - 0.2,
            right: left + KEY_WIDTH,
            bottom,
        };
        canvas.rectangle(rect, style::sequential((i as f64 + 0.5) / STEPS as f64))?;
    }
    let x = left + KEY_WIDTH + 5.0;
    let label = |value: f64| tick_label(value, high - low);
    let widest = f64::max(
        style::width(&label(low), style::TICK),
        style::width(&label(high), style::TICK),
    );
    canvas.text_left(x, plot.top + 6.0, &label(high), style::TICK, style::INK)?;
    if plot.height() > 2.0 * ROW {
        canvas.text_left(x, plot.bottom - 6.0, &label(low), style::TICK, style::INK)?;
    }
    let middle = (x + widest + 14.0, plot.top + 0.5 * plot.height());
    canvas.text_upwards(middle, value_label)
}
