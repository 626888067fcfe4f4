//! Estimates with their intervals, one per row.

use plotters::style::text_anchor::HPos;

use super::area::{PanelSize, Rect};
use super::canvas::Canvas;
use super::curves::BELOW;
use crate::figure::axis::Axis;
use crate::figure::chart::{AxisScale, Coordinate, Intervals};
use crate::figure::{Result, style};

const ROW: f64 = 24.0;
const WIDTH: f64 = 340.0;
/// The longest row name that is shown whole.
const NAME: f64 = 220.0;

pub(super) fn size(panel: &Intervals) -> PanelSize {
    let widest = panel
        .rows
        .iter()
        .map(|row| style::width(&row.label, style::LABEL))
        .fold(40.0, f64::max);
    PanelSize {
        left: 1.06 * widest.min(NAME) + 12.0,
        right: 16.0,
        bottom: BELOW,
        width: WIDTH,
        height: ROW * panel.rows.len().max(2) as f64 + 8.0,
    }
}

pub(super) fn draw(canvas: &Canvas<'_>, panel: &Intervals, plot: Rect) -> Result<()> {
    let x = Axis::new(
        &panel.x,
        panel
            .rows
            .iter()
            .filter_map(|row| row.estimate.map(|estimate| [estimate, row.low, row.high]))
            .flatten()
            .chain(panel.neutral),
    );
    let rows = Axis::new(
        &Coordinate::new("", AxisScale::Linear).within(0.0, 1.0),
        std::iter::empty(),
    );
    canvas.axes(plot, (0.0, BELOW), (&x, &panel.x.label), (&rows, ""))?;
    let place = |value: f64| {
        let share = x.share(value).unwrap_or(0.0).clamp(0.0, 1.0);
        plot.left + share * plot.width()
    };
    if let Some(neutral) = panel.neutral {
        let at = place(neutral);
        canvas.line(
            &[(at, plot.top), (at, plot.bottom)],
            style::AXIS,
            1.2,
            (3, 3),
        )?;
    }
    let row_height = (plot.height() - 8.0) / panel.rows.len().max(1) as f64;
    for (index, row) in panel.rows.iter().enumerate() {
        let y = plot.top + 4.0 + row_height * (index as f64 + 0.5);
        let look = style::series(row.style);
        let name = style::fit(&row.label, style::LABEL, NAME);
        canvas.text(
            (plot.left - 8.0, y),
            &name,
            style::LABEL,
            style::INK,
            HPos::Right,
        )?;
        let Some(estimate) = row.estimate else {
            canvas.text_left(plot.left + 6.0, y, "no estimate", style::TICK, style::AXIS)?;
            continue;
        };
        canvas.line(
            &[(place(row.low), y), (place(row.high), y)],
            look.color,
            2.0,
            (1, 0),
        )?;
        for end in [row.low, row.high] {
            // An end beyond the axis has no cap: the line runs into the frame.
            if x.share(end)
                .is_some_and(|share| (0.0..=1.0).contains(&share))
            {
                let cap = [(place(end), y - 4.0), (place(end), y + 4.0)];
                canvas.line(&cap, look.color, 2.0, (1, 0))?;
            }
        }
        canvas.marker((place(estimate), y), look.marker, look.color, 4.5)?;
    }
    Ok(())
}
