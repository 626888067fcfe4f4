//! A function of two variables in colours, with its colour key.

use super::area::{PanelSize, Rect};
use super::canvas::Canvas;
use super::curves::{BELOW, left_room};
use super::heat::{KEY_ROOM, key};
use crate::figure::axis::Axis;
use crate::figure::chart::{AxisScale, Coordinate, Field};
use crate::figure::{Result, style};

const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 150.0;
/// Rectangles reach under their neighbours, so that no seam shows between them.
const OVERLAP: f64 = 0.4;

/// Where the rectangles of places that ascend begin and end: halfway to the neighbours.
fn edges(places: &[f64]) -> Vec<f64> {
    let inner = places.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
    let ends = [places.first(), places.last()].map(Option::<&f64>::into_iter);
    let [first, last] = ends.map(|end| end.copied().next());
    first.into_iter().chain(inner).chain(last).collect()
}

fn axis(label: &str, places: &[f64]) -> Axis {
    let coordinate = Coordinate::new(label, AxisScale::Linear);
    let coordinate = match (places.first(), places.last()) {
        (Some(&low), Some(&high)) => coordinate.within(low, high),
        _ => coordinate,
    };
    Axis::new(&coordinate, std::iter::empty())
}

pub(super) fn size(panel: &Field) -> PanelSize {
    PanelSize {
        left: left_room(&axis(&panel.y_label, &panel.grid.y)),
        right: KEY_ROOM,
        bottom: BELOW,
        width: WIDTH,
        height: HEIGHT,
    }
}

pub(super) fn draw(canvas: &Canvas<'_>, panel: &Field, plot: Rect) -> Result<()> {
    let x = axis(&panel.x_label, &panel.grid.x);
    let y = axis(&panel.y_label, &panel.grid.y);
    canvas.axes(
        plot,
        (left_room(&y), BELOW),
        (&x, &panel.x_label),
        (&y, &panel.y_label),
    )?;
    let [low, high] = panel.bounds;
    let color = |value: f64| match value.is_finite() && low < high {
        true => style::sequential(((value - low) / (high - low)).clamp(0.0, 1.0)),
        false => style::GRID,
    };
    let across = |value: f64| plot.left + x.share(value).unwrap_or_default() * plot.width();
    let up = |value: f64| plot.bottom - y.share(value).unwrap_or_default() * plot.height();
    let (columns, rows) = (edges(&panel.grid.x), edges(&panel.grid.y));
    for (values, y) in panel.grid.values.iter().zip(rows.windows(2)) {
        for (value, x) in values.iter().zip(columns.windows(2)) {
            let rect = Rect {
                left: across(x[0]),
                top: up(y[1]),
                right: (across(x[1]) + OVERLAP).min(plot.right),
                bottom: (up(y[0]) + OVERLAP).min(plot.bottom),
            };
            canvas.rectangle(rect, color(*value))?;
        }
    }
    key(canvas, panel.bounds, &panel.value_label, plot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_meet_halfway_between_places() {
        assert_eq!(edges(&[0.0, 1.0, 3.0]), [0.0, 0.5, 2.0, 3.0]);
        assert_eq!(edges(&[2.0]), [2.0, 2.0]);
        assert!(edges(&[]).is_empty());
    }
}
