//! Level lines of a function of two variables, with paths on it.

use super::area::{PanelSize, Rect};
use super::canvas::Canvas;
use super::curves::{BELOW, Frame, left_room};
use crate::figure::axis::Axis;
use crate::figure::chart::{AxisScale, Contours, Coordinate, Grid};
use crate::figure::{Result, style};

const SIDE: f64 = 300.0;

fn axes(panel: &Contours) -> (Axis, Axis) {
    let axis = |label: &str, places: &[f64]| {
        let coordinate = Coordinate::new(label, AxisScale::Linear);
        match (places.first(), places.last()) {
            (Some(&low), Some(&high)) => {
                Axis::new(&coordinate.within(low, high), std::iter::empty())
            }
            _ => Axis::new(&coordinate, std::iter::empty()),
        }
    };
    (
        axis(&panel.x_label, &panel.grid.x),
        axis(&panel.y_label, &panel.grid.y),
    )
}

pub(super) fn size(panel: &Contours) -> PanelSize {
    PanelSize {
        left: left_room(&axes(panel).1),
        right: 12.0,
        bottom: BELOW,
        width: SIDE,
        height: SIDE,
    }
}

pub(super) fn draw(canvas: &Canvas<'_>, panel: &Contours, plot: Rect) -> Result<()> {
    let (x, y) = axes(panel);
    canvas.axes(
        plot,
        (left_room(&y), BELOW),
        (&x, &panel.x_label),
        (&y, &panel.y_label),
    )?;
    let place = |(a, b): (f64, f64)| {
        Some((
            plot.left + x.share(a)? * plot.width(),
            plot.bottom - y.share(b)? * plot.height(),
        ))
    };
    let count = panel.levels.len().max(1) as f64;
    for (index, &level) in panel.levels.iter().enumerate() {
        let color = style::sequential(0.35 + 0.45 * index as f64 / count);
        for [from, to] in level_line(&panel.grid, level) {
            if let (Some(from), Some(to)) = (place(from), place(to)) {
                canvas.line(&[from, to], color, 0.8, (1, 0))?;
            }
        }
    }
    let frame = Frame { x, y, plot };
    for path in &panel.paths {
        frame.curve(canvas, path)?;
    }
    for path in &panel.paths {
        frame.markers(canvas, path)?;
    }
    Ok(())
}

/// The segments on which the function, interpolated along cell edges, has the value `level`:
/// marching squares; a saddle cell is split by the mean of its corners.
fn level_line(grid: &Grid, level: f64) -> Vec<[(f64, f64); 2]> {
    let mut segments = Vec::new();
    for (row, ys) in grid.y.windows(2).enumerate() {
        for (column, xs) in grid.x.windows(2).enumerate() {
            let value = |dx: usize, dy: usize| grid.values[row + dy][column + dx];
            // Corners counter-clockwise, each with its value.
            let corners = [
                (xs[0], ys[0], value(0, 0)),
                (xs[1], ys[0], value(1, 0)),
                (xs[1], ys[1], value(1, 1)),
                (xs[0], ys[1], value(0, 1)),
            ];
            if corners.iter().any(|corner| !corner.2.is_finite()) {
                continue;
            }
            let crossings: Vec<(f64, f64)> = (0..4)
                .filter_map(|i| {
                    let (a, b) = (corners[i], corners[(i + 1) % 4]);
                    ((a.2 < level) != (b.2 < level)).then(|| {
                        let share = (level - a.2) / (b.2 - a.2);
                        (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1))
                    })
                })
                .collect();
            match *crossings.as_slice() {
                [from, to] => segments.push([from, to]),
                [first, second, third, fourth] => {
                    let middle = corners.iter().map(|corner| corner.2).sum::<f64>() / 4.0;
                    if (middle < level) == (corners[0].2 < level) {
                        segments.extend([[first, second], [third, fourth]]);
                    } else {
                        segments.extend([[fourth, first], [second, third]]);
                    }
                }
                _ => {}
            }
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_lines_of_a_paraboloid_are_circles() {
        let places: Vec<f64> = (0..=80).map(|i| -2.0 + f64::from(i) / 20.0).collect();
        let row = |y: &f64| places.iter().map(|x| x * x + y * y).collect();
        let grid = Grid {
            values: places.iter().map(row).collect(),
            x: places.clone(),
            y: places.clone(),
        };
        let segments = level_line(&grid, 1.0);
        assert!(!segments.is_empty());
        let mut length = 0.0;
        for [a, b] in segments {
            for (x, y) in [a, b] {
                assert!((x.hypot(y) - 1.0).abs() < 1e-3);
            }
            length += (a.0 - b.0).hypot(a.1 - b.1);
        }
        assert!((length - std::f64::consts::TAU).abs() < 0.01, "{length}");
    }
}
